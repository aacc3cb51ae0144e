//! Traces: what one engine computed, on disk, append-only, readable while it grows.
//!
//! A trace is a file of JSON lines and, beside it, a sidecar of raw little-endian values. The
//! sidecar's bytes are written before the line that names them.
//!
//! ```jsonl
//! {"paritty":1,"team":"llama.cpp","backend":"CPU","model":{…},"settings":{…},"sidecar":"run.bin"}
//! {"token_idx":0,"token":1,"piece":"<s>","from":"prompt","columns":1}
//! {"checkpoint":"Qcur_rope-0","tensor":"Qcur-0","op":"ROPE","token_idx":0,"dtype":"f32","shape":[64,32],"offset":0,"bytes":8192}
//! {"checkpoint":"result_output","token_idx":0,"shape":[32000],"values":[0.1,"NaN","-Infinity"]}
//! {"token_idx":0,"complete":true}
//! {"rewind":0}
//! {"end":true,"positions":64,"records":21340}
//! ```
//!
//! Only lines with a `checkpoint` are needed; a file of nothing else is a trace, too. `rewind` voids
//! every position from that one on, which will be computed again. A header after records begins a
//! new run, and what came before is void. A record for a cell that is there already replaces it. Of
//! the values that a shape promises, the last may be missing.
//!
//! Unknown keys are passed over. Lines that cannot be used are counted with their number and a
//! reason in [`Notes`]; none of them stops a reader.
//!
//! Shapes given as lists are fastest axis first, as ggml has them; shapes given as strings are in
//! row-major order, as NumPy prints them. Both end up fastest axis first, without axes of 1 at the
//! slow end.
//!
//! A way through the files: `source` turns a growing, perhaps replaced file into lines, `scan` finds
//! the fields of a line, `record` (with `shape` and `values`) types them, `index` keeps them, `store`
//! is what others see, `read` and `sidecar` fetch values when asked, `tail` follows, `stream` passes over
//! a finished trace once, `write` writes.

pub mod arrivals;
mod cell;
mod cells;
pub mod dtype;
mod entry;
pub mod header;
mod index;
mod limits;
mod names;
mod read;
mod record;
mod scan;
mod shape;
mod sidecar;
mod source;
pub mod store;
pub mod stream;
pub mod tail;
mod values;
pub mod write;

pub use arrivals::Arrival;
pub use cell::{Cell, Notes, Tensor, Token};
pub use dtype::Dtype;
pub use header::{Header, ModelInfo, Settings};
pub use store::{Progress, Store};
pub use stream::{Batch, Entry, Event, Stream};
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
