//! What is known about one position.

use std::sync::Arc;

use super::cell::{CellResult, CellState, Severity};
use super::cells::Cells;
use super::figures::Figures;
use super::lines::Lines;
use super::logits::LogitMetrics;
use crate::garbage::Finding;
use crate::model::Checkpoint;

/// Everything known about one position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// The reference's position.
    pub position: u32,
    /// Cells in order of execution.
    pub cells: Cells,
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
    pub fn cell(&self, checkpoint: Checkpoint) -> Option<CellResult> {
        self.cells.get(checkpoint)
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
    pub figures: Arc<Figures>,
    /// What the column says under the current rules.
    pub summary: Summary,
    /// Lines of the records behind each cell.
    pub lines: Lines,
    /// Of the column's cells, how many could be compared and how many not.
    pub counts: Counts,
    /// Whether each side has the position and is done with it.
    pub sides: [Presence; 2],
}

/// How many cells of a column could be compared and how many not, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub compared: u32,
    pub partial: u32,
    pub reference_only: u32,
    pub candidate_only: u32,
    pub unreadable: u32,
    /// Values compared, and values that the shapes promise.
    pub values: [u64; 2],
}

impl Counts {
    pub fn of(cells: &Cells) -> Self {
        let mut counts = Self::default();
        for cell in cells {
            match cell.state {
                CellState::Compared { metrics, .. } => {
                    counts.compared += 1;
                    counts.partial += u32::from(metrics.compared < metrics.of);
                    counts.values[0] += u64::from(metrics.compared);
                    counts.values[1] += u64::from(metrics.of);
                }
                CellState::ReferenceOnly => counts.reference_only += 1,
                CellState::CandidateOnly => counts.candidate_only += 1,
                CellState::ShapeMismatch | CellState::Unreadable => counts.unreadable += 1,
            }
        }
        counts
    }
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
