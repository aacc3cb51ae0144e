//! What engines are fed and how they run: the options of every command that takes sources.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::saved::SavedRun;
use crate::engine::cpu::CpuOptions;
use crate::fault::Injection;
use crate::model::CaptureSet;
use crate::session::Tokens;

/// See the module.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Text to start with, where no trace gives the tokens
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// Token ids to start with
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
    /// Tokens to generate after the prompt, where no trace gives them [default: 32]
    #[arg(short, value_name = "N")]
    n: Option<u32>,
    /// Positions to open engines for, if more than are computed: models with long and short RoPE
    /// factors choose by it [default: what the trace was made with]
    #[arg(long, value_name = "N")]
    pub ctx: Option<usize>,
    /// What engines capture: all, layers, logits, or a regular expression over checkpoint names
    /// [default: all]
    #[arg(long, value_name = "SET")]
    checkpoints: Option<CaptureSet>,
    /// Threads for our engine and for llama.cpp [default: all]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Keep our engine's keys and values in f16, as llama.cpp does by default
    #[arg(long)]
    kv_f16: bool,
    /// Mistake to make in our engine: ID or ID@LAYER (`paritty demo --fault list` names them); may be
    /// given several times
    #[arg(long, value_name = "ID")]
    pub fault: Vec<Injection>,
    /// Seconds that a program (cmd:) may be silent before it counts as hanging
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    answer_within: u64,
}

impl EngineArgs {
    /// What is computed, as far as it was said.
    pub fn tokens(&self) -> Tokens {
        match (&self.tokens, &self.prompt) {
            (Some(ids), _) => Tokens::Ids(ids.clone()),
            (None, Some(text)) => Tokens::Prompt(text.clone()),
            (None, None) => Tokens::FromTrace,
        }
    }

    /// Tokens to generate after the prompt.
    pub fn n(&self) -> u32 {
        self.n.unwrap_or(32)
    }

    /// What engines capture.
    pub fn capture(&self) -> CaptureSet {
        self.checkpoints.clone().unwrap_or(CaptureSet::All)
    }

    /// How our engines compute.
    pub fn cpu(&self) -> CpuOptions {
        CpuOptions { threads: self.threads.unwrap_or(0), kv_f16: self.kv_f16 }
    }

    /// Takes from a saved session what was not said.
    pub fn resume(&mut self, saved: &SavedRun) -> anyhow::Result<()> {
        let odd = |what: &str| format!("the saved session's {what}");
        if self.tokens.is_none() && self.prompt.is_none() {
            (self.tokens, self.prompt) = (saved.tokens.clone(), saved.prompt.clone());
        }
        self.n = self.n.or(Some(saved.n));
        self.ctx = self.ctx.or(saved.ctx);
        if self.checkpoints.is_none() {
            self.checkpoints =
                Some(saved.checkpoints.parse().map_err(|e| anyhow!("{}: {e}", odd("checkpoints")))?);
        }
        self.threads = self.threads.or(Some(saved.threads));
        self.kv_f16 |= saved.kv_f16;
        if self.fault.is_empty() {
            let faults = saved.faults.iter().map(|text| text.parse());
            self.fault = faults.collect::<Result<_, _>>().with_context(|| odd("faults"))?;
        }
        Ok(())
    }

    /// What a later session needs to do the same.
    pub fn saved(&self) -> SavedRun {
        SavedRun {
            prompt: self.prompt.clone(),
            tokens: self.tokens.clone(),
            n: self.n(),
            ctx: self.ctx,
            checkpoints: self.capture().to_string(),
            threads: self.cpu().threads,
            kv_f16: self.kv_f16,
            faults: self.fault.iter().map(ToString::to_string).collect(),
        }
    }

    /// Longest silence of a program.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.answer_within)
    }
}
