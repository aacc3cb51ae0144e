//! The pictures of a report: what the screen would show, around the cell that matters most.

use std::sync::Arc;

use super::Report;
use crate::compare::Verdict;
use crate::document::{Block, Document};
use crate::model::Checkpoint;
use crate::plot::{self, Cursor, Scene, View};
use crate::session::headless::point_of_interest;
use crate::session::{Snapshot, Still};
use crate::wording::Tone;

/// What a report's pictures are taken from.
pub(super) struct Camera<'a> {
    still: Still<'a>,
    snapshot: Snapshot,
    cursor: Cursor,
}

impl<'a> Camera<'a> {
    pub fn new(report: &Report<'a>) -> Self {
        let still = Still::new(report.reference, Some(report.candidate), report.comparison);
        let snapshot = still.snapshot();
        let (position, checkpoint) = match &*snapshot.verdict {
            // The worst finding's class is the first to look at.
            Verdict::Instrument { finding, side, .. } => {
                let has = |c: &crate::compare::Column| {
                    let all = if *side == "reference" { &c.garbage_reference } else { &c.garbage_candidate };
                    all.iter().any(|f| f.class == finding.class && f.checkpoint == finding.checkpoint)
                };
                let column = snapshot.columns.iter().find(|c| has(c));
                (column.map_or(0, |c| c.position), finding.checkpoint)
            }
            _ => point_of_interest(&snapshot).unwrap_or((0, Checkpoint::LOGITS)),
        };
        Self { still, snapshot, cursor: Cursor { position, checkpoint } }
    }

    /// Whether there is anything that two runs can be compared by.
    pub fn has_figures(&self) -> bool {
        let is_compared = |c: &Arc<crate::compare::Column>| {
            c.cells.iter().any(|cell| matches!(cell.state, crate::compare::CellState::Compared { .. }))
        };
        !matches!(*self.snapshot.verdict, Verdict::DifferentComputation { .. })
            && self.snapshot.columns.iter().any(is_compared)
    }

    /// Adds pictures to the document.
    pub fn take(&self, views: &[View], document: &mut Document) {
        for view in views {
            self.take_one(*view, document);
        }
    }

    fn take_one(&self, view: View, document: &mut Document) {
        let mut cursor = self.cursor;
        // All values at once say most of the logits, which the text comes from.
        if view == View::Scatter && self.snapshot.rows.contains(&Checkpoint::LOGITS) {
            cursor.checkpoint = Checkpoint::LOGITS;
        }
        let mut snapshot = self.snapshot.clone();
        snapshot.focus = Some(Arc::new(self.still.focus(cursor.position, cursor.checkpoint)));
        let info = view.info();
        let caption = format!("{}: {}", info.title, info.description);
        match plot::adaptive_svg(view, &Scene { snapshot: &snapshot, cursor }) {
            Ok(svg) => document.push(Block::Picture { name: info.id.to_owned(), caption, svg }),
            Err(error) => document.paragraph(Tone::Caution, format!("no picture: {error}")),
        };
    }
}
