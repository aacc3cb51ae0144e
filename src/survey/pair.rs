//! Two runs of a survey held against each other.

use std::collections::{BTreeSet, HashMap};

use super::figure::{Figure, Range};
use super::result::LogitFigures;
use super::{Progress, SurveyError, go_on};
use crate::compare::{CellState, Comparison};
use crate::model::Checkpoint;
use crate::trace::Store;

/// Positions compared between two looks at whether to stop.
const STEP: usize = 8;

/// Compares everything that is in both traces.
pub(super) fn compare(
    reference: &Store,
    candidate: &Store,
    progress: &dyn Progress,
) -> Result<Comparison, SurveyError> {
    let positions: BTreeSet<u32> = reference.positions().chain(candidate.positions()).collect();
    let positions: Vec<u32> = positions.into_iter().collect();
    let mut comparison = Comparison::new();
    for chunk in positions.chunks(STEP) {
        go_on(progress)?;
        comparison.update(reference, candidate, chunk);
    }
    comparison.conclude(reference, candidate);
    Ok(comparison)
}

/// The logits of a pair; none where there are none in full on both sides.
pub(super) fn logits(pair: &Comparison) -> Option<LogitFigures> {
    let all: Vec<_> = pair.columns().iter().filter_map(|c| c.logits).collect();
    let kl: Vec<f64> = all.iter().map(|l| l.kl).collect();
    let margins = all.iter().filter(|l| !l.top1_agrees).map(|l| l.margin).max_by(f32::total_cmp);
    (!all.is_empty()).then(|| LogitFigures {
        positions: all.len() as u64,
        agree: all.iter().filter(|l| l.top1_agrees).count() as u64,
        kl: Range::of(&kl),
        margin: margins.map(|m| Figure(m.into())),
    })
}

/// NMSE by cell.
pub(super) type Errors = HashMap<(u32, Checkpoint), f64>;

/// NMSE of every compared cell.
pub(super) fn errors(pair: &Comparison) -> Errors {
    pair.columns()
        .iter()
        .flat_map(|column| {
            column.cells.iter().filter_map(|cell| match &cell.state {
                CellState::Compared { metrics, .. } => {
                    Some(((column.position, cell.checkpoint), metrics.nmse))
                }
                _ => None,
            })
        })
        .collect()
}
