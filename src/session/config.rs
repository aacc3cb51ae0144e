//! What a session is started with, and why it may not start.

use std::path::PathBuf;
use std::time::Duration;

use super::{Pace, Source};
use crate::engine::EngineError;
use crate::engine::cpu::CpuOptions;
use crate::fault::{FaultError, Injections};
use crate::gguf::GgufError;
use crate::model::CaptureSet;
use crate::model::hparams::ModelError;
use crate::trace::TraceError;

/// The tokens that engines are fed when no trace gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tokens {
    /// Only those of the trace on the other side.
    #[default]
    FromTrace,
    /// A text, tokenised with the model's vocabulary.
    Prompt(String),
    /// Ids.
    Ids(Vec<u32>),
}

/// Everything that defines a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// The model file.
    pub model: PathBuf,
    /// The run that is trusted.
    pub reference: Source,
    /// The run under test.
    pub candidate: Source,
    /// What engines are fed.
    pub tokens: Tokens,
    /// Tokens generated after the prompt, where an engine generates.
    pub generate: u32,
    /// Positions to open engines for; `None`: what a trace says its run was opened for, or as many as
    /// are computed.
    pub context: Option<usize>,
    /// Longest silence of a program that is driven.
    pub patience: Duration,
    /// What our engines capture.
    pub capture: CaptureSet,
    /// How our engines compute.
    pub cpu: CpuOptions,
    /// Faults for our engine on the candidate's side.
    pub faults: Injections,
    /// Replay traces at this pace instead of following them.
    pub replay: Option<Pace>,
    /// Whether engines run from the start.
    pub running: bool,
}

impl Config {
    /// Two runs of a model that compute from the start what a trace names, with every checkpoint.
    pub fn new(model: PathBuf, reference: Source, candidate: Source) -> Self {
        Self {
            model,
            reference,
            candidate,
            tokens: Tokens::FromTrace,
            generate: 0,
            context: None,
            patience: Duration::from_mins(1),
            capture: CaptureSet::All,
            cpu: CpuOptions::default(),
            faults: Injections::default(),
            replay: None,
            running: true,
        }
    }
}

/// Why a session cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The model file.
    #[error(transparent)]
    File(#[from] GgufError),
    /// The model in it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The system refused a thread, a folder or a process.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SessionError {
    /// For `map_err` on system calls.
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
