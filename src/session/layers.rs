//! One site in every layer, at one position: what a heatmap of layers × channels is drawn from.

use std::sync::Arc;

use super::cells::{self, severity};
use super::wanted::Wanted;
use crate::compare::Column;
use crate::model::Checkpoint;
use crate::trace::{Store, Tensor};

/// Values read for one side of all layers together: 80 layers of 8,192 channels are a sixth of it. Scores
/// at late positions are more; the layers that do not fit are named without their values.
const MAX_VALUES: usize = 4 << 20;

/// A site's values in every layer that has it, in order of layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// One a layer that has the site on either side. A site outside the layers is a single row.
    pub rows: Vec<LayerRow>,
    /// Rows whose values were not read, because all of them together would be too many.
    pub left_out: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// The site in this layer.
    pub checkpoint: Checkpoint,
    /// The reference's values.
    pub reference: Option<Arc<Tensor>>,
    /// The candidate's values.
    pub candidate: Option<Arc<Tensor>>,
    /// Severity of the cell, where it was compared.
    pub severity: Option<crate::compare::Severity>,
    /// Lines of both records, to tell whether they have to be read again.
    lines: [Option<u64>; 2],
}

impl LayerRow {
    /// A row that was read from no trace.
    pub fn new(checkpoint: Checkpoint, values: [Option<Tensor>; 2]) -> Self {
        let [reference, candidate] = values.map(|tensor| tensor.map(Arc::new));
        Self { checkpoint, reference, candidate, severity: None, lines: [None; 2] }
    }
}

/// Reads the cursor's site in every layer; rows of `before` that are still the same are kept.
pub(super) fn layers(
    stores: [&Store; 2],
    rows: &[Checkpoint],
    column: Option<&Column>,
    wanted: Wanted,
    before: Option<&Layers>,
) -> Layers {
    let site = wanted.checkpoint.site();
    let mut out = Layers::default();
    let mut left = [MAX_VALUES; 2];
    for &checkpoint in rows.iter().filter(|c| c.site() == site) {
        let cells = stores.map(|store| store.cell(wanted.position, checkpoint));
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let lines = cells.each_ref().map(|cell| cell.as_ref().map(|cell| cell.line));
        let lengths = cells.map(|cell| cell.map_or(0, |cell| cell.len as usize));
        let fits = lengths.iter().zip(left).all(|(length, left)| *length <= left);
        let mut row = LayerRow {
            lines,
            severity: severity(column, checkpoint),
            ..LayerRow::new(checkpoint, [None, None])
        };
        if fits {
            left = [left[0] - lengths[0], left[1] - lengths[1]];
            let known = before.and_then(|b| b.rows.iter().find(|r| r.checkpoint == checkpoint));
            let known = known.filter(|r| r.lines == lines);
            let read = |side: usize, known: Option<&Arc<Tensor>>| {
                lines[side]?;
                known
                    .cloned()
                    .or_else(|| cells::read(stores[side], wanted.position, checkpoint).map(Arc::new))
            };
            row.reference = read(0, known.and_then(|r| r.reference.as_ref()));
            row.candidate = read(1, known.and_then(|r| r.candidate.as_ref()));
        } else {
            out.left_out += 1;
        }
        out.rows.push(row);
    }
    out
}
