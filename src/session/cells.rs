//! One cell: its values in a run, its column and severity in the comparison.

use crate::compare::{CellState, Column, Comparison, Severity};
use crate::model::Checkpoint;
use crate::trace::{Store, Tensor};

/// One cell's values. What cannot be read is shown as missing; the column says `Unreadable`.
pub(super) fn read(store: &Store, position: u32, checkpoint: Checkpoint) -> Option<Tensor> {
    let mut tensor = Tensor::default();
    store.read(position, checkpoint, &mut tensor).ok().filter(|there| *there).map(|_| tensor)
}

/// The column of a position.
pub(super) fn column(comparison: &Comparison, position: u32) -> Option<&Column> {
    let columns = comparison.columns();
    columns.binary_search_by_key(&position, |c| c.position).ok().map(|at| &*columns[at])
}

/// Severity of a cell that was compared.
pub(super) fn severity(column: Option<&Column>, checkpoint: Checkpoint) -> Option<Severity> {
    match column?.cell(checkpoint)?.state {
        CellState::Compared { severity, .. } => Some(severity),
        _ => None,
    }
}
