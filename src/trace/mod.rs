//! Traces: what one engine computed, on disk, append-only, readable while it grows.

pub mod dtype;
pub mod header;
mod index;
mod limits;
mod read;
mod record;
mod scan;
mod shape;
mod sidecar;
mod source;
pub mod store;
pub mod tail;
mod values;
pub mod write;

pub use dtype::Dtype;
pub use header::{Header, ModelInfo, Settings};
pub use store::{Cell, Notes, Progress, Store, Tensor, Token};
pub use tail::{Follow, Liveness};
pub use write::TraceWriter;

use std::path::PathBuf;

/// Version of the format that is read and written.
pub const VERSION: u32 = 1;

/// Why a trace could not be read or written. A single bad line is never an error: it is counted
/// in [`Notes`].
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path names something that is no trace.
    #[error("{path}: {problem}")]
    NotATrace {
        /// The file.
        path: PathBuf,
        /// What it is, what was expected and what to do.
        problem: String,
    },
    /// Values were promised that are not there.
    #[error("{path}, line {line}: {problem}")]
    Values {
        /// The file.
        path: PathBuf,
        /// Line of the record, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
}
