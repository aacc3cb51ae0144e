//! The index of a trace: tokens and cells in memory, values on disk until somebody reads them.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Dtype, Header, TraceError};
use crate::model::Checkpoint;

/// What a token line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Token {
    /// Id in the vocabulary.
    pub id: u32,
    /// Text of the token, as the trace has it: may hold control characters.
    pub piece: Option<String>,
    /// Whether it came from the prompt (false: it was sampled).
    pub from_prompt: bool,
    /// Tokens in the batch that computed this position.
    pub columns: Option<u32>,
}

/// Index entry of one recorded tensor; says where its values are.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Fastest axis first.
    pub shape: Vec<u32>,
    /// Type of the recorded values.
    pub dtype: Dtype,
    /// Line of the record in the trace, from 1.
    pub line: u64,
    /// Values that are there; fewer than the shape's product when the record is partial.
    pub len: u32,
}

impl Cell {
    /// Values that the shape promises.
    pub fn full_len(&self) -> usize {
        self.shape.iter().map(|&n| n as usize).product()
    }

    /// Whether the record holds fewer values than its shape says.
    pub fn is_partial(&self) -> bool {
        (self.len as usize) < self.full_len()
    }
}

/// The values of one cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Fastest axis first.
    pub shape: Vec<u32>,
    /// The values that are there, in order.
    pub values: Vec<f32>,
    /// Whether `values` carry every bit of what the engine had (a sidecar, or text with nine
    /// digits); false for text with six decimals.
    pub exact: bool,
}

/// What was odd about a trace; nothing here stops a comparison, everything is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Lines that are no JSON object or no record: line number and reason, first 100.
    pub skipped: Vec<(u64, String)>,
    /// How many lines were skipped in all.
    pub skipped_count: u64,
    /// Records for a cell that was there already (the last one counts).
    pub duplicates: u64,
    /// Records whose checkpoint paritty does not know: name and count, first 100 names.
    pub foreign: BTreeMap<String, u64>,
    /// Records whose sidecar bytes are not there (yet).
    pub waiting: u64,
    /// Records with fewer values than their shape says.
    pub partial: u64,
    /// Times the file was replaced or cut while it was read.
    pub restarts: u64,
}

/// One trace, indexed. Grows by [`Store::advance`]; values are read from disk on demand.
#[derive(Debug)]
pub struct Store {
    _private: (),
}

/// What one call of [`Store::advance`] took in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Bytes of text read.
    pub bytes: u64,
    /// Positions with something new, ascending, without repeats.
    pub changed: Vec<u32>,
    /// Whether the file was replaced or cut, so that everything known before is void.
    pub restarted: bool,
    /// Whether there was nothing left to read.
    pub at_end: bool,
}

impl Store {
    /// A store for a trace that may not exist yet. Reads nothing.
    pub fn new(_path: &Path) -> Self {
        todo!()
    }

    /// Indexes a finished trace: everything that is there now.
    pub fn load(_path: &Path) -> Result<Self, TraceError> {
        todo!()
    }

    /// Reads on from where the last call stopped, about `budget` bytes of text at most.
    /// A file that does not exist yet is no error: nothing is read.
    pub fn advance(&mut self, _budget: u64) -> Result<Progress, TraceError> {
        todo!()
    }

    /// The trace's path.
    pub fn path(&self) -> &Path {
        todo!()
    }

    /// The header, if the trace has one.
    pub fn header(&self) -> Option<&Header> {
        todo!()
    }

    /// Positions that have a token or a cell, ascending.
    pub fn positions(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::empty()
    }

    /// The token at `position`.
    pub fn token(&self, _position: u32) -> Option<&Token> {
        todo!()
    }

    /// Whether the writer said that `position` is complete (or a later one was begun, or the trace
    /// has ended).
    pub fn is_complete(&self, _position: u32) -> bool {
        todo!()
    }

    /// Whether the terminating line was read.
    pub fn has_ended(&self) -> bool {
        todo!()
    }

    /// Checkpoints recorded at `position`, in order of execution.
    pub fn checkpoints(&self, _position: u32) -> impl Iterator<Item = Checkpoint> + '_ {
        std::iter::empty()
    }

    /// The index entry of one cell.
    pub fn cell(&self, _position: u32, _checkpoint: Checkpoint) -> Option<&Cell> {
        todo!()
    }

    /// Reads the values of one cell into `into` (its buffers are reused). `Ok(false)`: there is no
    /// such cell. An error names file and line: values promised that are not there.
    pub fn read(
        &self,
        _position: u32,
        _checkpoint: Checkpoint,
        _into: &mut Tensor,
    ) -> Result<bool, TraceError> {
        todo!()
    }

    /// What was odd so far.
    pub fn notes(&self) -> &Notes {
        todo!()
    }
}
