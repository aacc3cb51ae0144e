//! `paritty inspect`: two runs side by side, live.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Outcome;
use super::screen::ScreenArgs;
use crate::engine::cpu::CpuOptions;
use crate::engine::open::Kind;
use crate::fault::{Injection, Injections};
use crate::model::CaptureSet;
use crate::session::{Config, Source, Tokens};

/// Watch two runs side by side while they grow, and see where they part.
///
/// SRC is a trace file (followed while it grows), `cpu` (our engine, f32), `cuda` or `cuda:N` (on a
/// GPU), `oracle` (in f64), `llama.cpp` (the real one, if it was built in) or
/// `cmd:PROGRAM ARGUMENTS`, any engine that speaks paritty's protocol.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Model file (GGUF)
    model: PathBuf,
    /// The run that is trusted
    #[arg(long, value_name = "SRC")]
    reference: Source,
    /// The run under test [default: cpu]
    #[arg(long, value_name = "SRC")]
    candidate: Option<Source>,
    /// Text to start with, where no trace gives the tokens
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// Token ids to start with
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
    /// Tokens to generate after the prompt, where no trace gives them
    #[arg(short, value_name = "N", default_value_t = 32)]
    n: u32,
    /// Positions to open engines for, if more than are computed: models with long and short RoPE
    /// factors choose by it [default: what the trace was made with]
    #[arg(long, value_name = "N")]
    ctx: Option<usize>,
    /// What engines capture: all, layers, logits, or a regular expression over checkpoint names
    #[arg(long, value_name = "SET", default_value = "all")]
    checkpoints: CaptureSet,
    /// Threads for our engine and for llama.cpp [default: all]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Keep our engine's keys and values in f16, as llama.cpp does by default
    #[arg(long)]
    kv_f16: bool,
    /// Mistake to make in our engine: ID or ID@LAYER (`paritty demo --fault list` names them); may be
    /// given several times
    #[arg(long, value_name = "ID")]
    fault: Vec<Injection>,
    /// Seconds that a program (cmd:) may be silent before it counts as hanging
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    answer_within: u64,
    /// Do not start computing before a key says so
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    screen: ScreenArgs,
}

impl InspectArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let tokens = match (self.tokens, self.prompt) {
            (Some(ids), _) => Tokens::Ids(ids),
            (None, Some(text)) => Tokens::Prompt(text),
            (None, None) => Tokens::FromTrace,
        };
        self.screen.show(&Config {
            model: self.model,
            reference: self.reference,
            candidate: self.candidate.unwrap_or_else(|| Kind::best().into()),
            tokens,
            generate: self.n,
            context: self.ctx,
            patience: Duration::from_secs(self.answer_within),
            capture: self.checkpoints,
            cpu: CpuOptions { threads: self.threads, kv_f16: self.kv_f16 },
            faults: Injections::new(self.fault),
            replay: None,
            running: !self.paused,
        })
    }
}
