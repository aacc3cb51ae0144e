//! The newest records of a trace as they are read, for whoever watches it grow.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::Dtype;
use super::cell::{Cell, Place};
use super::limits::{MAX_NAMES, MAX_QUOTE};
use super::record::TensorRecord;
use crate::model::Checkpoint;

/// One record as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Position.
    pub position: u32,
    /// Checkpoint.
    pub checkpoint: Checkpoint,
    /// What the engine itself calls the tensor, safe to show.
    pub tensor: Option<Arc<str>>,
    /// The operation that made it, safe to show.
    pub op: Option<Arc<str>>,
    /// Type of the recorded values.
    pub dtype: Dtype,
    /// Fastest axis first.
    pub shape: Arc<[u32]>,
    /// Values that are there.
    pub len: u32,
    /// Bytes that they take: in the sidecar, or as text in the line.
    pub bytes: u64,
    /// Line of the record in the trace, from 1.
    pub line: u64,
}

/// The newest records since they were last taken. Bounded, however many are read.
#[derive(Debug, Default)]
pub struct Arrivals {
    newest: VecDeque<Arrival>,
    /// How many are kept; 0: none.
    room: usize,
    /// Records since the last [`Arrivals::take`], kept or not.
    count: u64,
    names: HashSet<Arc<str>>,
}

impl Arrivals {
    /// Keeps the newest `room` from now on.
    pub(super) fn keep(&mut self, room: usize) {
        self.room = room;
    }

    pub(super) fn add(&mut self, record: &TensorRecord<'_>, checkpoint: Checkpoint, cell: &Cell) {
        if self.room == 0 {
            return;
        }
        self.count += 1;
        if self.newest.len() == self.room {
            self.newest.pop_front();
        }
        let bytes = match cell.place {
            Place::Sidecar { .. } => u64::from(cell.len) * cell.dtype.size() as u64,
            Place::Text { bytes, .. } => bytes.into(),
        };
        let arrival = Arrival {
            position: record.position,
            checkpoint,
            tensor: self.name(record.tensor),
            op: self.name(record.op),
            dtype: cell.dtype,
            shape: Arc::clone(&cell.shape),
            len: cell.len,
            bytes,
            line: cell.line,
        };
        self.newest.push_back(arrival);
    }

    /// Those kept since the last call, oldest first, and how many there were in all.
    pub(super) fn take(&mut self) -> (VecDeque<Arrival>, u64) {
        (std::mem::take(&mut self.newest), std::mem::take(&mut self.count))
    }

    /// A name as one shared text: few different ones come again and again.
    fn name(&mut self, raw: Option<&[u8]>) -> Option<Arc<str>> {
        let inner = raw?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let text = std::str::from_utf8(inner).ok().filter(|t| !t.is_empty())?;
        if let Some(known) = self.names.get(text) {
            return Some(Arc::clone(known));
        }
        let safe: Arc<str> = crate::text::safe_short(text, MAX_QUOTE).into();
        if self.names.len() < MAX_NAMES {
            self.names.insert(Arc::clone(&safe));
        }
        Some(safe)
    }
}
