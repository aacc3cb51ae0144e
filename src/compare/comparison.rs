//! The comparison as a whole: columns by position, filled cell by cell while both runs grow.

use std::sync::Arc;

use super::{CellResult, LogitMetrics, Verdict};
use crate::garbage::Finding;
use crate::model::Checkpoint;
use crate::trace::Store;

/// Everything known about one position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// The reference's position.
    pub position: u32,
    /// Cells in order of execution.
    pub cells: Vec<CellResult>,
    /// Metrics of the logits, where both have them in full.
    pub logits: Option<LogitMetrics>,
    /// Garbage found in the reference's values.
    pub garbage_reference: Vec<Finding>,
    /// Garbage found in the candidate's values.
    pub garbage_candidate: Vec<Finding>,
    /// Whether both sides say that they are done with this position.
    pub complete: bool,
}

impl Column {
    /// The cell of `checkpoint`.
    pub fn cell(&self, checkpoint: Checkpoint) -> Option<&CellResult> {
        self.cells.binary_search_by_key(&checkpoint, |c| c.checkpoint).ok().map(|i| &self.cells[i])
    }
}

/// An incremental comparison of two stores.
#[derive(Debug, Default)]
pub struct Comparison {
    _private: (),
}

impl Comparison {
    /// Nothing compared yet.
    pub fn new() -> Self {
        todo!()
    }

    /// Compares `positions` again (those whose stores changed). Cheap for cells that did not change.
    pub fn update(&mut self, _reference: &Store, _candidate: &Store, _positions: &[u32]) {
        todo!()
    }

    /// Columns by position, ascending; shared, so that a snapshot costs no copy.
    pub fn columns(&self) -> &[Arc<Column>] {
        todo!()
    }

    /// Union of the checkpoints seen, in order of execution.
    pub fn rows(&self) -> Arc<[Checkpoint]> {
        todo!()
    }

    /// The verdict over everything compared so far.
    pub fn verdict(&self) -> Arc<Verdict> {
        todo!()
    }
}
