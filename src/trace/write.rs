//! Writing a trace while it is computed: sidecar bytes first, then the line, flushed per position.

use std::path::Path;

use super::{Header, Token, TraceError};
use crate::model::Checkpoint;

/// Writes `NAME.jsonl` and its sidecar `NAME.bin` (or everything as text, without a sidecar, when
/// the target is standard output or a number of values per record was asked for).
#[derive(Debug)]
pub struct TraceWriter {
    _private: (),
}

impl TraceWriter {
    /// Creates (replaces) the trace at `path` and writes its header, naming the sidecar in it.
    pub fn create(_path: &Path, _header: &Header) -> Result<Self, TraceError> {
        todo!()
    }

    /// As `create`, but writes text only, the first `values` values of each record (all if
    /// `None`), to any writer: standard output, or the study's form.
    pub fn text(
        _out: Box<dyn std::io::Write + Send>,
        _header: &Header,
        _values: Option<usize>,
    ) -> Result<Self, TraceError> {
        todo!()
    }

    /// The line that opens a position.
    pub fn token(&mut self, _position: u32, _token: &Token) -> Result<(), TraceError> {
        todo!()
    }

    /// One record. `tensor` and `op` are what the engine itself calls the node.
    pub fn tensor(
        &mut self,
        _position: u32,
        _checkpoint: Checkpoint,
        _tensor: Option<&str>,
        _op: &str,
        _shape: &[u32],
        _values: &[f32],
    ) -> Result<(), TraceError> {
        todo!()
    }

    /// The line that closes a position; flushes sidecar, then text.
    pub fn complete(&mut self, _position: u32) -> Result<(), TraceError> {
        todo!()
    }

    /// Says that everything from `position` on is void and will be computed again.
    pub fn rewind(&mut self, _position: u32) -> Result<(), TraceError> {
        todo!()
    }

    /// The terminating line.
    pub fn end(self) -> Result<(), TraceError> {
        todo!()
    }
}
