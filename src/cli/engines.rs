//! What engines are fed and how they run: the options of every command that takes sources.

use std::time::Duration;

use clap::Args;

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
    /// Tokens to generate after the prompt, where no trace gives them
    #[arg(short, value_name = "N", default_value_t = 32)]
    pub n: u32,
    /// Positions to open engines for, if more than are computed: models with long and short RoPE
    /// factors choose by it [default: what the trace was made with]
    #[arg(long, value_name = "N")]
    pub ctx: Option<usize>,
    /// What engines capture: all, layers, logits, or a regular expression over checkpoint names
    #[arg(long, value_name = "SET", default_value = "all")]
    pub checkpoints: CaptureSet,
    /// Threads for our engine and for llama.cpp [default: all]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
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

    /// How our engines compute.
    pub fn cpu(&self) -> CpuOptions {
        CpuOptions { threads: self.threads, kv_f16: self.kv_f16 }
    }

    /// Longest silence of a program.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.answer_within)
    }
}
