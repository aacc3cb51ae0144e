//! What the map and the strip of tokens show of each position: computed once a column and not once a frame,
//! and only of those that are looked at.

use std::cell::OnceCell;
use std::sync::Arc;

use super::{Row, Rows};
use crate::compare::{CellState, Column};
use crate::garbage::{Blame, Finding};
use crate::model::Checkpoint;
use crate::palette::Shade;

/// The look of one cell, or of many folded into one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The worst of them.
    pub shade: Shade,
    /// Whether an error enters here.
    pub origin: bool,
    /// Whether it is the first divergence of all.
    pub first: bool,
    /// Whether a diagnosis calls the operation itself faulty.
    pub faulty: bool,
}

impl Mark {
    /// The look of one cell.
    pub fn of(state: &CellState) -> Self {
        let origin = matches!(state, CellState::Compared { origin: true, .. });
        Self { shade: Shade::of(state), origin, ..Self::default() }
    }

    /// Both together: the worst shade, an origin if either is one.
    #[must_use]
    pub fn fold(self, other: Self) -> Self {
        Self {
            shade: self.shade.max(other.shade),
            origin: self.origin || other.origin,
            first: self.first || other.first,
            faulty: self.faulty || other.faulty,
        }
    }

    /// Whether it is beyond noise.
    pub fn is_beyond(self) -> bool {
        matches!(self.shade, Shade::Beyond(_) | Shade::Infinite)
    }
}

/// What is known of one position, folded for the overview.
#[derive(Clone, Debug)]
pub struct ColumnMarks {
    /// What it was made from.
    pub column: Arc<Column>,
    /// One a row of the overview.
    pub rows: Vec<Mark>,
    /// All of them together.
    pub all: Mark,
    /// The finding that the flag shows: the engines' before the instruments'.
    pub garbage: Option<(char, Blame)>,
}

/// A position whose marks are folded when they are first looked at: a newer snapshot may hold thousands.
#[derive(Debug)]
pub(super) struct Folded {
    /// What is folded.
    pub column: Arc<Column>,
    marks: OnceCell<ColumnMarks>,
}

impl Folded {
    /// Nothing is folded yet.
    pub fn new(column: Arc<Column>) -> Self {
        Self { column, marks: OnceCell::new() }
    }

    /// Its marks. The rows are those of the snapshot that it came with.
    pub fn marks(&self, rows: &Rows) -> &ColumnMarks {
        self.marks.get_or_init(|| ColumnMarks::new(Arc::clone(&self.column), rows))
    }
}

impl ColumnMarks {
    /// Folds a column's cells into the overview's rows.
    pub fn new(column: Arc<Column>, rows: &Rows) -> Self {
        let overview = rows.overview();
        let mut marks = vec![Mark::default(); overview.len()];
        let mut at = 0;
        let mut all = Mark::default();
        // Both are in order of execution, so one pass suffices; a cell without a row is left out.
        for cell in &column.cells {
            let row = Row::of(cell.checkpoint);
            if let Some(ahead) = overview[at..].iter().position(|&r| r == row) {
                at += ahead;
                let mark = Mark::of(&cell.state);
                marks[at] = marks[at].fold(mark);
                all = all.fold(mark);
            }
        }
        let garbage = findings(&column)
            .map(|(_, finding)| finding)
            .min_by_key(|finding| match finding.blame {
                Blame::Engine => 0,
                Blame::Instrument => 1,
                Blame::Nobody => 2,
            })
            .map(|finding| (finding.glyph, finding.blame));
        Self { column, rows: marks, all, garbage }
    }
}

/// Findings of both sides at one position.
pub fn findings(column: &Column) -> impl Iterator<Item = (&'static str, &Finding)> {
    column
        .garbage_reference
        .iter()
        .map(|f| ("reference", f))
        .chain(column.garbage_candidate.iter().map(|f| ("candidate", f)))
}

/// Where an error enters, or, where nothing says that, where it is beyond noise: in order of
/// position and execution.
pub fn divergences(columns: &[Arc<Column>]) -> Vec<(u32, Checkpoint)> {
    let pick = |origins_only: bool| -> Vec<(u32, Checkpoint)> {
        columns
            .iter()
            .flat_map(|column| column.cells.iter().map(move |cell| (column.position, cell)))
            .filter(|(_, cell)| {
                let mark = Mark::of(&cell.state);
                mark.is_beyond() && (mark.origin || !origins_only)
            })
            .map(|(position, cell)| (position, cell.checkpoint))
            .collect()
    };
    let origins = pick(true);
    if origins.is_empty() { pick(false) } else { origins }
}
