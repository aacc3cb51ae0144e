//! What is known about one position.

use std::collections::BTreeMap;

use super::cell::{CellResult, CellState, Severity};
use super::expect::Measured;
use super::logits::LogitMetrics;
use crate::garbage::Finding;
use crate::model::Checkpoint;

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

/// One position with the figures behind its cells.
#[derive(Debug, Default)]
pub struct Figures {
    /// The position.
    pub position: u32,
    /// By checkpoint, in order of execution; compared cells only.
    pub measured: Vec<(Checkpoint, Measured)>,
}

impl Figures {
    /// The figures of one cell.
    pub fn get(&self, checkpoint: Checkpoint) -> Option<Measured> {
        self.measured.binary_search_by_key(&checkpoint, |m| m.0).ok().map(|i| self.measured[i].1)
    }
}

/// What one column says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Cells compared.
    pub cells: u32,
    /// Cells beyond noise.
    pub beyond: u32,
    /// First cell at which an error enters.
    pub origin: Option<Checkpoint>,
    /// First cell beyond noise.
    pub first_beyond: Option<Checkpoint>,
    /// The worst cell.
    pub worst: Option<(Checkpoint, Severity)>,
    /// The largest error over the table's floor and margin, before scaling.
    pub unscaled: f32,
}

/// What is kept of a column beside what is shown.
#[derive(Debug, Default)]
pub(super) struct Detail {
    /// Figures of the compared cells.
    pub figures: Figures,
    /// What the column says under the current rules.
    pub summary: Summary,
    /// Lines of the records behind each cell: reference, candidate.
    pub lines: BTreeMap<Checkpoint, [u64; 2]>,
    /// Whether each side has the position and is done with it.
    pub sides: [Presence; 2],
}

/// What a side has of a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing, and more may come.
    #[default]
    Pending,
    /// Nothing, and nothing will come.
    Absent,
    /// Something, and more may come.
    Begun,
    /// Everything.
    Complete,
}

/// Whether a cell was compared.
pub(super) fn is_compared(cell: &CellResult) -> bool {
    matches!(cell.state, CellState::Compared { .. })
}
