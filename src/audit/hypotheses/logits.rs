//! Logits that were worked on: log-probabilities, probabilities, a penalty on tokens seen before.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::{Change, Post};
use crate::figures::figure;
use crate::model::Checkpoint;

/// See the module.
pub struct Logits;

impl Hypothesis for Logits {
    fn id(&self) -> &'static str {
        "sampled-logits"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if case.node.checkpoint != Some(Checkpoint::LOGITS) {
            return Vec::new();
        }
        let trial = |says: &str, post: Post| {
            Trial::new(0, says.to_owned(), Change { post: Some(post), ..case.with(|_| {}) })
        };
        let mut trials = vec![
            trial(
                "these are log-probabilities: the logits less the logarithm of their exponentials' sum",
                Arc::new(|_, out| {
                    let (most, sum) = exponentials(out);
                    for x in out {
                        *x -= most + sum.ln();
                    }
                }),
            ),
            trial(
                "these are probabilities: the softmax was applied to the logits",
                Arc::new(|_, out| {
                    let (most, sum) = exponentials(out);
                    for x in out {
                        *x = (*x - most).exp() / sum;
                    }
                }),
            ),
        ];
        trials.extend(penalty(case));
        trials
    }
}

/// The largest value and Σ exp(x − largest).
fn exponentials(row: &[f64]) -> (f64, f64) {
    let most = row.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
    (most, row.iter().map(|x| (x - most).exp()).sum())
}

/// Tokens of the run up to each position, whose logits are divided (if positive) or multiplied.
fn penalty(case: &Case<'_, '_>) -> Option<Trial> {
    let seen = |position: u32| -> BTreeSet<usize> {
        (0..=position).filter_map(|q| case.traced().token(q)).map(|t| t as usize).collect()
    };
    let mut ratios: Vec<f64> = Vec::new();
    for (p, recorded, right) in case.rows() {
        for token in seen(p) {
            let (a, b) = (f64::from(*recorded.get(token)?), *right.get(token)?);
            ratios.push(if b > 0.0 { b / a } else { a / b });
        }
    }
    ratios.retain(|r| r.is_finite());
    ratios.sort_by(f64::total_cmp);
    let ratio = *ratios.get(ratios.len() / 2)?;
    if (ratio - 1.0).abs() < 1e-4 {
        return None;
    }
    // Penalties are round numbers.
    let round = (ratio * 1000.0).round() / 1000.0;
    let ratio = if (ratio / round - 1.0).abs() < 1e-5 { round } else { ratio };
    let last = case.faulty.last().copied()?;
    let tokens: Vec<BTreeSet<usize>> = (0..=last).map(seen).collect();
    let post: Post = Arc::new(move |position, out| {
        let Some(tokens) = tokens.get(position as usize) else { return };
        for &token in tokens {
            if let Some(x) = out.get_mut(token) {
                *x = if *x > 0.0 { *x / ratio } else { *x * ratio };
            }
        }
    });
    let says = format!("a repetition penalty of {} is applied to the tokens seen before", figure(ratio));
    Some(Trial::new(0, says, Change { post: Some(post), ..case.with(|_| {}) }))
}
