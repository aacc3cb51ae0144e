//! Do both runs use the same weights? A difference of weights is true, and nobody's mistake.

use crate::model::{Checkpoint, Site};
use crate::text::safe_short;
use crate::trace::{Dtype, Header, Store, Tensor};

/// Positions whose embeddings are looked at.
const POSITIONS: usize = 8;
/// A row of a table that was rounded otherwise is this far from the other, as a share of its norm: more than
/// f16 (2.1e-4), less than 2 bits a weight.
const ROUNDED: std::ops::Range<f64> = 5e-4..0.4;
/// Blocks share a scale, so that their small values change by more than this share of themselves, …
const SMALL_VALUE: f64 = 0.02;
/// … and that is seen in this share of the values. An engine that rounds to bf16 changes none by as much.
const OF_VALUES: f64 = 0.05;

/// What headers say of the weights, where they say different things.
pub fn by_headers(reference: Option<&Header>, candidate: Option<&Header>) -> Option<String> {
    let weights = |h: Option<&Header>| h.and_then(|h| h.model.weights.clone());
    let (a, b) = (weights(reference)?, weights(candidate)?);
    (a != b).then(|| {
        format!(
            "the weights differ: the reference's are {}, the candidate's {}; a difference between them is not a mistake of an engine",
            safe_short(&a, 20),
            safe_short(&b, 20)
        )
    })
}

/// What the embeddings say: a row of the table is used as it is, and two roundings of it differ in a way that
/// no arithmetic does.
pub fn by_embeddings(stores: [&Store; 2]) -> Option<String> {
    let at = Checkpoint::global(Site::Embd);
    let (mut a, mut b) = (Tensor::default(), Tensor::default());
    let (mut seen, mut worst) = (0, 0.0_f64);
    let common = stores[0].positions().filter(|&p| stores[1].cell(p, at).is_some());
    for position in common.take(POSITIONS) {
        // Rounded records say nothing about the table.
        let exact = |store: &Store, row: &mut Tensor| {
            store.cell(position, at).is_some_and(|c| c.dtype == Dtype::F32 && !c.is_partial())
                && matches!(store.read(position, at, row), Ok(true))
        };
        let tokens = stores.map(|s| s.token(position).map(|t| t.id));
        if !exact(stores[0], &mut a) || !exact(stores[1], &mut b) || tokens[0] != tokens[1] {
            continue;
        }
        let pairs = || a.values.iter().zip(&b.values).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let norm = |x: f64| x.sqrt();
        let off = norm(pairs().map(|(a, b)| (a - b).powi(2)).sum()) / norm(pairs().map(|(a, _)| a * a).sum());
        let changed = pairs().filter(|(a, b)| (a - b).abs() > SMALL_VALUE * a.abs()).count();
        if a.values.len() != b.values.len()
            || !ROUNDED.contains(&off)
            || (changed as f64) < OF_VALUES * a.values.len() as f64
        {
            return None;
        }
        (seen, worst) = (seen + 1, worst.max(off));
    }
    (seen >= 2).then(|| {
        format!(
            "the weights differ: {seen} of {seen} embeddings are those of one table rounded in two ways (off by {} of a \
             row's norm, small values most); a difference between quantised models is not a mistake of an engine",
            crate::figures::figure(worst)
        )
    })
}
