//! What a trace holds: tokens, cells, values, and what was odd about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Dtype;
use super::limits::{MAX_FOREIGN, MAX_NOTES, MAX_QUOTE};

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
    /// Fastest axis first; axes of 1 at the slow end are left out. Shared between cells.
    pub shape: Arc<[u32]>,
    /// Type of the recorded values.
    pub dtype: Dtype,
    /// Line of the record in the trace, from 1.
    pub line: u64,
    /// Values that are there; fewer than the shape's product when the record is partial.
    pub len: u32,
    pub(super) place: Place,
}

/// Where a cell's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Raw bytes in the sidecar.
    Sidecar { offset: u64 },
    /// A JSON array in the text, brackets included.
    Text { offset: u64, bytes: u32 },
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
    /// Runs that were recorded in the same file before the one shown: a header after records begins
    /// a new run.
    pub earlier_runs: u64,
}

impl Notes {
    /// Counts a line that is no record, and keeps the reason.
    pub(super) fn skip(&mut self, line: u64, reason: impl Into<String>) {
        self.skipped_count += 1;
        self.note(line, reason);
    }

    /// Keeps what is to be said of a line that counts all the same.
    pub(super) fn note(&mut self, line: u64, reason: impl Into<String>) {
        if self.skipped.len() < MAX_NOTES {
            self.skipped.push((line, reason.into()));
        }
    }

    /// Counts a record of a checkpoint that paritty does not know.
    pub(super) fn foreign(&mut self, name: &str) {
        let short: String = name.chars().take(MAX_QUOTE).collect();
        let room = self.foreign.len() < MAX_FOREIGN || self.foreign.contains_key(&short);
        *self.foreign.entry(if room { short } else { "(further names)".to_owned() }).or_default() += 1;
    }
}
