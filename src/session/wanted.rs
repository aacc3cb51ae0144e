//! What a screen wants to see of the place under its cursor.

use crate::compare::Ranking;
use crate::model::Checkpoint;

/// A cell, and what is to be read beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Position.
    pub position: u32,
    /// Checkpoint.
    pub checkpoint: Checkpoint,
    /// What the views that are open need beside the cell itself.
    pub needs: Needs,
}

impl Wanted {
    /// The cell alone.
    pub fn cell(position: u32, checkpoint: Checkpoint) -> Self {
        Self { position, checkpoint, needs: Needs::default() }
    }
}

/// What views need beside the cell under the cursor; reading it costs time, so that only open views ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// The cursor's site in every layer.
    pub layers: bool,
    /// The attention scores of the cursor's layer.
    pub scores: bool,
    /// By what [`crate::compare::TopK::rows`] are ordered.
    pub ranking: Ranking,
}
