//! What is known about one position.

use std::sync::Arc;

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
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The position.
    pub position: u32,
    /// By checkpoint, in order of execution; compared cells only.
    pub measured: Vec<(Checkpoint, Measured)>,
}

impl Figures {
    /// Keeps the figures of one cell.
    pub(super) fn insert(&mut self, checkpoint: Checkpoint, measured: Measured) {
        match self.at(checkpoint) {
            Ok(at) => self.measured[at].1 = measured,
            Err(at) => self.measured.insert(at, (checkpoint, measured)),
        }
    }

    /// Lets go of the figures of one cell.
    pub(super) fn remove(&mut self, checkpoint: Checkpoint) {
        if let Ok(at) = self.at(checkpoint) {
            self.measured.remove(at);
        }
    }

    fn at(&self, checkpoint: Checkpoint) -> Result<usize, usize> {
        self.measured.binary_search_by_key(&checkpoint, |m| m.0)
    }

    /// The figures of one cell.
    pub fn get(&self, checkpoint: Checkpoint) -> Option<Measured> {
        self.at(checkpoint).ok().map(|i| self.measured[i].1)
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

/// Lines of the records behind each cell of a column, reference and candidate, to tell which were
/// recorded again. Kept modulo 2³²−1: a record comes back at the next line, not four billion lines on.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(Checkpoint, [u32; 2])>);

impl Lines {
    /// Those of one cell; the default if none are known.
    pub fn get(&self, checkpoint: Checkpoint) -> [u32; 2] {
        self.at(checkpoint).map_or([0; 2], |at| self.0[at].1)
    }

    /// What is kept of the lines of a cell's records.
    pub fn of(lines: [Option<u64>; 2]) -> [u32; 2] {
        lines.map(|line| line.map_or(0, |line| (line % u64::from(u32::MAX)) as u32 + 1))
    }

    pub fn insert(&mut self, checkpoint: Checkpoint, lines: [u32; 2]) {
        match self.at(checkpoint) {
            Ok(at) => self.0[at].1 = lines,
            Err(at) => self.0.insert(at, (checkpoint, lines)),
        }
    }

    pub fn remove(&mut self, checkpoint: Checkpoint) {
        if let Ok(at) = self.at(checkpoint) {
            self.0.remove(at);
        }
    }

    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        self.0.iter().map(|(checkpoint, _)| *checkpoint)
    }

    pub fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    fn at(&self, checkpoint: Checkpoint) -> Result<usize, usize> {
        self.0.binary_search_by_key(&checkpoint, |(c, _)| *c)
    }
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
    pub fn of(cells: &[CellResult]) -> Self {
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
