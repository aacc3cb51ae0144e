//! A diagnosis of what both traces hold at the moment, made beside the session.

use std::sync::Arc;
use std::time::Duration;

use super::which::Which;
use crate::audit::Conclusion;
use crate::model::Checkpoint;
use crate::wording::Sentence;

/// How a diagnosis stands.
#[derive(Clone, Debug, Default)]
pub enum DiagnosisState {
    /// Nobody asked for one.
    #[default]
    NotAsked,
    /// It is being made.
    Running {
        /// Steps done of what is being done; cells, for the most part.
        done: u64,
        /// Of how many; 0: not known yet.
        of: u64,
        /// What is being done, for people: `auditing the reference`.
        what: String,
    },
    /// The last one.
    Done(Arc<Diagnosed>),
    /// It could not be made; the sentence says why and what to do.
    Failed(String),
    /// It was called off.
    Cancelled,
}

/// What a diagnosis found.
#[derive(Clone, Debug)]
pub struct Diagnosed {
    /// Whose and what, in a few sentences.
    pub sentences: Vec<Sentence>,
    /// Each run by itself, the reference first.
    pub sides: Vec<SideDiagnosed>,
    /// Faulty operations of both runs, in order of execution, the reference's first.
    pub faulty: Vec<Faulty>,
    /// How long it took.
    pub took: Duration,
}

/// What was found of one run by itself.
#[derive(Clone, Debug)]
pub struct SideDiagnosed {
    /// Which run.
    pub side: Which,
    /// In one word.
    pub conclusion: Conclusion,
    /// In sentences.
    pub sentences: Vec<Sentence>,
    /// Positions that the trace had when the diagnosis was made.
    pub positions: u32,
}

/// An operation that does not follow from its own inputs.
#[derive(Clone, Debug)]
pub struct Faulty {
    /// Whose.
    pub side: Which,
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// Positions at which it is faulty, ascending.
    pub positions: Vec<u32>,
    /// The worst of them: where to look.
    pub worst_at: u32,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// The kind of mistake, where one explains it: `rope-pairing` …
    pub mistake: Option<String>,
    /// Whether the recorder and not the engine is at fault.
    pub instrument: bool,
    /// The figures behind the sentence, a line each.
    pub evidence: Vec<String>,
}

impl Diagnosed {
    /// Whether this cell is one of an operation that is itself faulty, and not only one that a fault reached.
    pub fn is_faulty(&self, side: Which, position: u32, checkpoint: Checkpoint) -> bool {
        self.faulty.iter().any(|f| {
            f.side == side && f.checkpoint == checkpoint && f.positions.binary_search(&position).is_ok()
        })
    }
}
