//! What is not the same in two graphs, and in two runs.

use std::collections::BTreeSet;
use std::path::Path;

use super::ScoreError;
use crate::model::{Checkpoint, Graph};
use crate::trace::{Store, Tensor};

/// Operations that differ between two graphs. One without a name is known by the next that has one.
pub fn rewritten(right: &Graph, wrong: &Graph) -> BTreeSet<Checkpoint> {
    let differs = |i: &usize| right.nodes[*i] != wrong.nodes[*i];
    (0..right.nodes.len())
        .filter(differs)
        .filter_map(|i| right.nodes[i..].iter().find_map(|n| n.checkpoint))
        .collect()
}

/// Checkpoints that are not the same in two runs, bit for bit.
pub fn changed(a: &Path, b: &Path) -> Result<BTreeSet<Checkpoint>, ScoreError> {
    let (a, b) = (Store::load(a)?, Store::load(b)?);
    let mut changed = BTreeSet::new();
    let (mut left, mut right) = (Tensor::default(), Tensor::default());
    for position in a.positions() {
        for checkpoint in a.checkpoints(position) {
            if changed.contains(&checkpoint) || !a.read(position, checkpoint, &mut left)? {
                continue;
            }
            let bits = |t: &Tensor| t.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            if !b.read(position, checkpoint, &mut right)? || bits(&left) != bits(&right) {
                changed.insert(checkpoint);
            }
        }
    }
    Ok(changed)
}
