//! The whole argument about one or two runs: are they the same computation, is the instrument sound, which
//! operations are faulty, what kind of mistake is it, and whose.

mod auditing;
mod document;
pub mod graft;
pub mod observer;
pub mod weights;

pub use auditing::{Progress, audited};
pub use document::{document, sentences};
pub use graft::Isolation;
pub use observer::Observed;
pub use weights::OtherWeights;

use std::sync::Arc;

use crate::audit::{Audit, AuditError, Conclusion};
use crate::compare::{Comparison, Verdict};
use crate::engine::EngineError;
use crate::garbage::recording::{self, Note};
use crate::gguf::GgufError;
use crate::model::hparams::ModelError;
use crate::trace::{Store, TraceError};

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    /// An audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The model file, or a file that is made from it.
    #[error(transparent)]
    File(#[from] GgufError),
    /// The model in it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The engine that is run again.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The run is one of another model.
    #[error(
        "{trace} is a run of a `{theirs}` model, {model} holds another: give the model that the run was made with"
    )]
    OtherModel {
        /// The trace.
        trace: String,
        /// Its architecture.
        theirs: String,
        /// The model file.
        model: String,
    },
}

/// One run with its audit.
pub struct Side {
    /// `reference` or `candidate`.
    pub role: &'static str,
    /// The trace, for people.
    pub trace: String,
    /// Who computed it.
    pub engine: String,
    /// What its audit found.
    pub audit: Audit,
    /// What is to be known of how it was recorded.
    pub notes: Vec<Note>,
    /// Where it was made with other weights than the model file's.
    pub weights: Option<OtherWeights>,
    /// Why the run ended before all was computed, where it did.
    pub ended: Option<String>,
}

impl Side {
    /// A run of a model with `n_vocab` tokens and its audit.
    pub fn new(role: &'static str, store: &Store, n_vocab: Option<usize>, audit: Audit) -> Self {
        Self {
            role,
            trace: store.path().display().to_string(),
            engine: store.team().filter(|team| !team.is_empty()).unwrap_or("the engine").to_owned(),
            audit,
            notes: recording::notes(store, n_vocab),
            weights: None,
            ended: None,
        }
    }

    /// What it is judged by: the audit against the weights that were used, as far as they are known.
    pub fn judged(&self) -> &Audit {
        self.weights.as_ref().and_then(|w| w.audit.as_ref()).unwrap_or(&self.audit)
    }

    /// In one word; other weights alone are no fault, and where most of what was recorded cannot be judged,
    /// the rest says little.
    pub fn conclusion(&self) -> Conclusion {
        let coverage = &self.judged().coverage;
        match &self.weights {
            Some(OtherWeights { audit: None, .. }) => Conclusion::Clean,
            _ => match self.judged().conclusion() {
                Conclusion::Clean if coverage.not_judged() > coverage.judged() => Conclusion::NotEnough,
                conclusion => conclusion,
            },
        }
    }
}

/// A diagnosis of one run, or of two.
#[derive(Default)]
pub struct Diagnosed {
    /// The runs, the reference first.
    pub sides: Vec<Side>,
    /// Their comparison, where there are two.
    pub comparison: Option<Comparison>,
    /// Runs that were made once more without taps.
    pub observed: Vec<Observed>,
    /// What grafts of the reference's values into the candidate show, where it could be run again.
    pub isolation: Option<Isolation>,
    /// What belongs to a diagnosis and was not done, with the reason.
    pub left_out: Vec<String>,
}

/// Two whole runs, compared.
pub fn compare(reference: &Store, candidate: &Store) -> Comparison {
    let mut positions: Vec<u32> = reference.positions().chain(candidate.positions()).collect();
    positions.sort_unstable();
    positions.dedup();
    let mut comparison = Comparison::new();
    comparison.update(reference, candidate, &positions);
    comparison.conclude(reference, candidate);
    comparison
}

/// Whose mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Every judged operation of every run is right.
    Nobodys,
    /// That run's, by its index.
    One(usize),
    /// Both runs hold faulty operations.
    Both,
    /// Nothing could be judged.
    Unknown,
}

impl Diagnosed {
    /// Whose mistake it is: that of the run whose operations do not follow from their own inputs.
    pub fn whose(&self) -> Whose {
        let faulty: Vec<usize> =
            (0..self.sides.len()).filter(|&i| self.conclusion(i) == Conclusion::Faulty).collect();
        let silent = (0..self.sides.len()).any(|i| self.conclusion(i) == Conclusion::NotEnough);
        match faulty[..] {
            [] if silent => Whose::Unknown,
            [] => Whose::Nobodys,
            [one] => Whose::One(one),
            _ => Whose::Both,
        }
    }

    /// Whether a run was made with other weights than the model file's.
    pub fn has_other_weights(&self) -> bool {
        self.sides.iter().any(|side| side.weights.is_some())
    }

    /// Whether a recorder is at fault: what it shows is not what the engine computes without it.
    pub fn is_disturbed(&self) -> bool {
        self.observed.iter().any(|seen| !seen.is_same() && seen.again.is_none())
    }

    /// Whether a run differs from itself.
    pub fn is_unsteady(&self) -> bool {
        self.observed.iter().any(|seen| seen.again.is_some())
    }

    /// Whether a run ended before all was computed.
    pub fn is_cut_short(&self) -> bool {
        self.sides.iter().any(|side| side.ended.is_some())
    }

    /// The comparison's verdict.
    pub fn verdict(&self) -> Option<Arc<Verdict>> {
        self.comparison.as_ref().map(Comparison::verdict)
    }

    fn conclusion(&self, side: usize) -> Conclusion {
        self.sides[side].conclusion()
    }
}
