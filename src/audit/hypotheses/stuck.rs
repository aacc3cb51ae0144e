//! Channels that hold the same number at every position, where right ones do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blank::place;
use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::figures::figure;

/// See the module.
pub struct Stuck;

/// What is nearer than this to the right value, as a share of it, may be it.
const NEAR: f64 = 1e-3;

impl Hypothesis for Stuck {
    fn id(&self) -> &'static str {
        "stuck-values"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let rows: Vec<(u32, &[f32], &[f64])> = case.rows().collect();
        let (true, [(_, first, _), rest @ ..]) = (case.is_output() && !case.node.op.grows(), &rows[..])
        else {
            return Vec::new();
        };
        let far = |(_, row, right): &(u32, &[f32], &[f64]), c: usize| {
            let x = f64::from(row[c]);
            (x - right[c]).abs() > NEAR * x.abs().max(right[c].abs())
        };
        let same = |row: &[f32], c: usize| row.get(c).is_some_and(|x| x.to_bits() == first[c].to_bits());
        let channels: BTreeSet<usize> = (0..first.len())
            .filter(|&c| first[c].is_finite() && first[c] != 0.0)
            .filter(|&c| rest.iter().all(|(_, row, _)| same(row, c)) && rows.iter().all(|row| far(row, c)))
            .collect();
        let Some(&one) = channels.first().filter(|_| !rest.is_empty()) else { return Vec::new() };
        let what = if channels.iter().all(|&c| first[c].to_bits() == first[one].to_bits()) {
            figure(first[one].into())
        } else {
            "the same".to_owned()
        };
        let says = format!("{} {what} at every position", place(case, &channels, first.len()));
        let values: Vec<(usize, f64)> = channels.iter().map(|&c| (c, f64::from(first[c]))).collect();
        let post = move |_: u32, out: &mut [f64]| {
            for &(c, x) in &values {
                if let Some(out) = out.get_mut(c) {
                    *out = x;
                }
            }
        };
        vec![Trial::new(0, says, Change { post: Some(Arc::new(post)), ..case.with(|_| {}) })]
    }
}
