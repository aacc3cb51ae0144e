//! The right values in the wrong places: the same permutation of channels at every position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;

/// See the module.
pub struct Permuted;

/// How near two values are to be taken for the same, as a share of the row's largest.
const NEAR: f64 = 2e-5;

impl Hypothesis for Permuted {
    fn id(&self) -> &'static str {
        "permuted"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if case.node.op.grows() {
            return Vec::new();
        }
        let rows: Vec<(Vec<f64>, Vec<f64>)> = case
            .rows()
            .map(|(_, recorded, expected)| (recorded.iter().map(|&x| x.into()).collect(), expected.to_vec()))
            .collect();
        let Some(from) = permutation(&rows) else { return Vec::new() };
        let says = describe(case, &from);
        let post = move |_: u32, out: &mut [f64]| {
            let right = out.to_vec();
            for (out, &from) in out.iter_mut().zip(&from) {
                *out = right[from];
            }
        };
        vec![Trial::new(0, says, Change { post: Some(Arc::new(post)), ..case.with(|_| {}) })]
    }
}

/// Where each recorded channel's value is found among the right ones, if it is the same at all positions.
fn permutation(rows: &[(Vec<f64>, Vec<f64>)]) -> Option<Vec<usize>> {
    let (first, rest) = rows.split_first()?;
    let width = first.1.len();
    if first.0.len() != width || rest.is_empty() {
        return None;
    }
    let tolerance = |row: &[f64]| NEAR * row.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance;
    let sorted: Vec<(u64, usize)> = {
        let mut values: Vec<(f64, usize)> = first.1.iter().copied().zip(0..).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        values.into_iter().map(|(x, i)| (x.to_bits(), i)).collect()
    };
    let at = |i: usize| f64::from_bits(sorted[i].0);
    let tolerances: Vec<f64> = rows.iter().map(|(_, expected)| tolerance(expected)).collect();
    let mut from = Vec::with_capacity(width);
    for channel in 0..width {
        let value = first.0[channel];
        let mut i = sorted.partition_point(|(bits, _)| f64::from_bits(*bits) < value - tolerances[0]);
        let mut found = None;
        while i < width && at(i) <= value + tolerances[0] {
            let candidate = sorted[i].1;
            let everywhere = rows
                .iter()
                .zip(&tolerances)
                .all(|((recorded, expected), t)| near(recorded[channel], expected[candidate], *t));
            if everywhere && (found.is_none() || candidate == channel) {
                found = Some(candidate);
            }
            i += 1;
        }
        from.push(found?);
    }
    let distinct: BTreeSet<usize> = from.iter().copied().collect();
    let moved = from.iter().enumerate().any(|(to, from)| to != *from);
    (moved && distinct.len() * 10 >= width * 9).then_some(from)
}

fn describe(case: &Case<'_, '_>, from: &[usize]) -> String {
    let head = case.graph().nodes.iter().find_map(|n| n.op.attention()).map_or(0, |a| a.head_dim);
    let moved: Vec<(usize, usize)> =
        from.iter().copied().enumerate().filter(|(to, from)| to != from).collect();
    if head > 0 && from.len().is_multiple_of(head) && from.len() > head {
        let mut heads: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (to, from) in from.iter().enumerate() {
            heads.entry(to / head).or_default().insert(from / head);
        }
        let whole = from.iter().enumerate().all(|(to, from)| to % head == from % head);
        if whole && heads.values().all(|from| from.len() == 1) {
            let order: Vec<String> =
                heads.values().filter_map(|f| f.first()).take(8).map(ToString::to_string).collect();
            return format!("heads are permuted: they hold those of {}", order.join(", "));
        }
        if heads.iter().all(|(to, from)| from.len() == 1 && from.contains(to)) {
            return "values are permuted inside each head, alike at every position".to_owned();
        }
    }
    // Nearly all come from so many channels further on.
    let step = |(to, from): &(usize, usize)| *from as i64 - *to as i64;
    if let Some(first) = moved.get(moved.len() / 2).map(step)
        && moved.iter().filter(|m| step(m) == first).count() * 50 >= from.len() * 49
    {
        let (n, side) = (first.abs(), if first > 0 { "after" } else { "before" });
        return format!("each value is the one {n} {side} it: the row is shifted");
    }
    let shown: Vec<String> = moved.iter().take(4).map(|(to, from)| format!("{to} holds {from}")).collect();
    format!("{} channels are permuted, alike at every position ({})", moved.len(), shown.join(", "))
}
