//! The audit: every recorded node of one run is recomputed alone, from that same run's recorded inputs
//! and the model file. No second run is needed, and rounding does not pile up: a correct engine is
//! within about 1e-6 whatever its weights, so that mistakes show that comparing two runs cannot see.
//!
//! A way through the files: `traced` reads the run through the graph, `stretch` says what a node can be
//! recomputed from, `arithmetic` holds one way of rounding a file, `machine` (with `product` and `history`)
//! evaluates and makes one `computed` row a position, `probe` shows what is not known exactly, `judge`
//! compares with the `floor`, `ties` lets roundings fall the other way. The `auditor` holds a cell to an
//! arithmetic and remembers what was found, `hypotheses` say what kind of mistake a faulty node holds,
//! `choice` and `run` find the arithmetic of each `kind` of node and judge all cells by it.

pub mod arithmetic;
mod auditor;
pub mod change;
pub mod choice;
pub mod computed;
pub mod document;
pub mod findings;
pub mod floor;
mod history;
pub mod hypotheses;
pub mod judge;
pub mod kind;
pub mod machine;
pub mod probe;
pub mod product;
mod run;
pub mod stretch;
mod ties;
mod tiles;
pub mod traced;
mod turned;
mod unchanged;
mod witness;

pub use findings::{Audit, Conclusion, Coverage, Diagnosis, FaultyNode, KindFindings};
pub use judge::Deviation;
pub use run::{Options, audit};

use crate::engine::EngineError;
use crate::model::hparams::ModelError;
use crate::trace::TraceError;

/// Why a run could not be audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The model file lacks something or is at odds with itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A node cannot be evaluated.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// It was called off (see [`Options::stop`]).
    #[error("the audit was called off")]
    Stopped,
}
