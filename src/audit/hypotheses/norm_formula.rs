//! A norm by another formula: no root, epsilon elsewhere, another divisor, the mean half taken off.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::figures::figure;
use crate::model::Op;

/// See the module.
pub struct NormFormula;

/// What a row is multiplied by, from Σ of squares, number of values and epsilon.
type Gain = fn(f64, f64, f64) -> f64;

const GAINS: [(&str, Gain); 5] = [
    ("the norm divides by the mean square itself, not by its root", |s, n, e| 1.0 / (s / n + e)),
    ("epsilon is added to the root, not under it", |s, n, e| 1.0 / ((s / n).sqrt() + e)),
    ("epsilon is added to the sum of squares, not to their mean", |s, n, e| (n / (s + e)).sqrt()),
    ("the norm's sum of squares is divided by n − 1", |s, n, e| 1.0 / (s / (n - 1.0) + e).sqrt()),
    ("the norm takes the sum of squares, not their mean", |s, _, e| 1.0 / (s + e).sqrt()),
];

impl Hypothesis for NormFormula {
    fn id(&self) -> &'static str {
        "norm-formula"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let (eps, group, centred) = match case.node.op {
            Op::RmsNorm { eps, group } => (f64::from(eps), group, false),
            Op::LayerNorm { eps } => (f64::from(eps), case.node.width, true),
            _ => return Vec::new(),
        };
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let weight: Vec<f64> = bound.vector().unwrap_or_default().iter().map(|&w| w.into()).collect();
        let bias: Vec<f64> = bound.bias().unwrap_or_default().iter().map(|&b| b.into()).collect();
        let right: Gain = |s, n, e| 1.0 / (s / n + e).sqrt();
        let normed = |gain: Gain, keeps_mean: bool| -> Change {
            let (weight, bias) = (weight.clone(), bias.clone());
            case.executed(Arc::new(move |_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                out.clear();
                for x in inputs[0].chunks(group) {
                    let n = x.len() as f64;
                    let mean = if centred { x.iter().sum::<f64>() / n } else { 0.0 };
                    let squares = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                    let gain = gain(squares, n, eps);
                    let shift = if keeps_mean { 0.0 } else { mean };
                    let at = |values: &[f64], i: usize, other: f64| {
                        // A norm of single heads has one weight for all of them.
                        values.get(out_index(values.len(), i)).copied().unwrap_or(other)
                    };
                    let base = out.len();
                    out.extend(x.iter().enumerate().map(|(i, v)| {
                        (v - shift) * gain * at(&weight, base + i, 1.0) + at(&bias, base + i, 0.0)
                    }));
                }
            }))
        };
        let mut trials: Vec<Trial> = GAINS
            .iter()
            .map(|(says, gain)| Trial::new(0, (*says).to_owned(), normed(*gain, false)))
            .collect();
        if let Some(sum) = trials.last_mut().filter(|_| !case.is_output()) {
            // What follows may have been divided as well: nothing that was recorded tells.
            sum.says += ", or what follows from it is divided by the root of their number";
        }
        let plain = |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
            out.clear();
            out.extend_from_slice(inputs[0]);
        };
        trials.push(Trial::new(0, "the norm is not applied here".into(), case.executed(Arc::new(plain))));
        if centred {
            let says = "the mean is not subtracted from the values, only from their squares".to_owned();
            trials.push(Trial::new(0, says, normed(right, true)));
        }
        trials
    }
}

fn out_index(len: usize, i: usize) -> usize {
    if len == 0 { i } else { i % len }
}

/// The rows are right up to a factor of their own each: the norm divides by something else.
pub struct NormGain;

/// How alike the factors of a row's values are.
const ALIKE: f64 = 1e-4;

impl Hypothesis for NormGain {
    fn id(&self) -> &'static str {
        "norm-gain"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let is_norm = match case.node.op {
            Op::RmsNorm { group, .. } => group == case.node.width,
            _ => false,
        };
        let all: Vec<u32> = case.faulty.iter().copied().take(64).collect();
        let (Ok(right), Ok(table)) = (case.right(&all, None), case.traced().table(case.target)) else {
            return Vec::new();
        };
        if !is_norm || !case.is_direct() || all.len() < 2 {
            return Vec::new();
        }
        let mut gains = std::collections::BTreeMap::new();
        for p in all {
            let (Some(row), Some(right)) = (table.row(p), right.get(&p)) else { return Vec::new() };
            let (mut both, mut own, mut other) = (0.0, 0.0, 0.0);
            for (&a, b) in row.iter().zip(right) {
                both += f64::from(a) * b;
                own += b * b;
                other += f64::from(a).powi(2);
            }
            // 1 − cos² is the share of the row that no factor explains.
            if !(1.0 - both * both / (own * other) <= ALIKE * ALIKE) {
                return Vec::new();
            }
            gains.insert(p, both / own);
        }
        let (least, most) = gains.values().fold((f64::INFINITY, 0.0_f64), |(a, b), g| (a.min(*g), b.max(*g)));
        let says = format!(
            "the norm divides each row by another number than its own ({} to {} times too large a result)",
            figure(least),
            figure(most)
        );
        let mut change = case.with(|_| {});
        change.post = Some(Arc::new(move |position, out| {
            let gain = gains.get(&position).copied().unwrap_or(1.0);
            for x in out {
                *x *= gain;
            }
        }));
        vec![Trial::new(0, says, change)]
    }
}
