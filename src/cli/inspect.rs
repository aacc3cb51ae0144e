//! `paritty inspect`: two runs side by side, live.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::engines::EngineArgs;
use super::screen::ScreenArgs;
use crate::engine::open::Kind;
use crate::fault::Injections;
use crate::session::{Config, Source};

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
    #[command(flatten)]
    engines: EngineArgs,
    /// Do not start computing before a key says so
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    screen: ScreenArgs,
}

impl InspectArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        self.screen.show(&Config {
            model: self.model,
            reference: self.reference,
            candidate: self.candidate.unwrap_or_else(|| Kind::best().into()),
            tokens: self.engines.tokens(),
            generate: self.engines.n,
            context: self.engines.ctx,
            patience: self.engines.patience(),
            cpu: self.engines.cpu(),
            capture: self.engines.checkpoints,
            faults: Injections::new(self.engines.fault),
            replay: None,
            running: !self.paused,
        })
    }
}
