//! The weights that were used are not the file's: which rows, columns or values of them.

use std::collections::BTreeSet;

use super::{Case, Hypothesis, Observation};
use crate::audit::floor::EPSILON;
use crate::figures::figure;
use crate::model::Op;
use crate::text::safe;

/// See the module.
pub struct WeightsDiffer;

/// Off by more than this share of ‖row‖ · ‖input‖ in each position (units of ε) is off.
const OFF: f64 = 24.0;

impl Hypothesis for WeightsDiffer {
    fn id(&self) -> &'static str {
        "weights-differ"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn observe(&self, case: &Case<'_, '_>) -> Option<Observation> {
        let weight = safe(case.node.weight.as_deref()?).into_owned();
        if !case.is_direct()
            || !matches!(case.node.op, Op::MatMul | Op::RmsNorm { .. } | Op::LayerNorm { .. } | Op::AddBias)
        {
            return None;
        }
        let rows: Vec<(u32, &[f32], &[f64])> = case.rows().collect();
        let width = rows.first()?.1.len();
        // One row proves nothing of weights, nor does what is not finite: weights in a file are.
        if rows.len() < 2 || rows.iter().any(|r| r.1.iter().any(|x| !x.is_finite())) {
            return None;
        }
        // Rows that hold nothing say nothing of weights.
        if rows.iter().any(|r| r.1.iter().all(|x| *x == 0.0 || !x.is_finite())) {
            return None;
        }
        let scale =
            |expected: &[f64]| (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
        // Channels that are off at every position looked at, and at any.
        let off = |p: usize, c: usize| {
            let (_, recorded, expected) = rows[p];
            !((f64::from(recorded[c]) - expected[c]).abs()
                <= OFF * EPSILON * 8.0 * scale(expected).max(expected[c].abs()))
        };
        let everywhere: BTreeSet<usize> =
            (0..width).filter(|&c| (0..rows.len()).all(|p| off(p, c))).collect();
        let anywhere: BTreeSet<usize> = (0..width).filter(|&c| (0..rows.len()).any(|p| off(p, c))).collect();
        if anywhere.is_empty() {
            return None;
        }
        // What is off beside those channels.
        let left = rows
            .iter()
            .map(|(_, recorded, expected)| {
                let beside = (0..width).filter(|c| !anywhere.contains(c));
                let square: f64 = beside.map(|c| (f64::from(recorded[c]) - expected[c]).powi(2)).sum();
                (square / expected.iter().map(|x| x * x).sum::<f64>()).sqrt()
            })
            .fold(0.0, f64::max);
        let listed = |channels: &BTreeSet<usize>| {
            let shown: Vec<String> = channels.iter().take(6).map(ToString::to_string).collect();
            let more = if channels.len() > 6 { " …" } else { "" };
            format!("{}{more}", shown.join(", "))
        };
        if !matches!(case.node.op, Op::MatMul) {
            // One weight a channel: the ratio is the weight's own.
            let few = anywhere.len() * 4 <= width * 3;
            let says = if few {
                format!(
                    "{weight} differs from the file in {} of {width} values ({})",
                    anywhere.len(),
                    listed(&anywhere)
                )
            } else {
                format!("{weight} differs from the file throughout")
            };
            return consistent_channels(&rows, &anywhere, case).then_some(Observation {
                mistake: None,
                says,
                left,
            });
        }
        if anywhere.len() * 4 <= width {
            let zero = anywhere.iter().all(|&c| rows.iter().all(|r| r.1[c] == 0.0));
            if zero {
                return Some(Observation {
                    mistake: None,
                    says: format!("rows {} of {weight} are zero", listed(&anywhere)),
                    left,
                });
            }
            if let Some(factor) = common_factor(&rows, &anywhere) {
                let says =
                    format!("rows {} of {weight} are multiplied by {}", listed(&anywhere), figure(factor));
                return Some(Observation { mistake: None, says, left });
            }
            if anywhere.len() == 1
                && let Some(&row) = anywhere.first()
            {
                let single = element(case, &rows, row);
                let says = match single {
                    Some((column, delta)) => format!(
                        "one value of {weight} differs from the file: row {row}, column {column}, by {}",
                        figure(delta)
                    ),
                    None => format!("row {row} of {weight} differs from the file"),
                };
                return Some(Observation { mistake: None, says, left });
            }
            // Weights are the same at every position: so is what is wrong with them.
            if everywhere.len() * 10 < anywhere.len() * 9 {
                return None;
            }
            return Some(Observation {
                mistake: None,
                says: format!(
                    "values {} are off at every position, as if those rows of {weight} differed from the file",
                    listed(&anywhere)
                ),
                left,
            });
        }
        None
    }
}

/// Whether each channel is off by the same factor (or, for a bias, the same amount) at every position.
fn consistent_channels(
    rows: &[(u32, &[f32], &[f64])],
    channels: &BTreeSet<usize>,
    case: &Case<'_, '_>,
) -> bool {
    let adds = matches!(case.node.op, Op::AddBias);
    let Some(((_, a, b), rest)) = rows.split_first() else { return false };
    if rest.is_empty() {
        return false;
    }
    let good = |c: &&usize| {
        let c = **c;
        rest.iter().all(|(_, x, y)| {
            if adds {
                let (first, other) = (f64::from(a[c]) - b[c], f64::from(x[c]) - y[c]);
                (first - other).abs() <= 1e-5 * (y[c].abs() + b[c].abs())
            } else {
                (f64::from(a[c]) * y[c] - f64::from(x[c]) * b[c]).abs() <= 1e-5 * (b[c] * y[c]).abs()
            }
        })
    };
    channels.iter().filter(good).count() * 10 >= channels.len() * 9
}

fn common_factor(rows: &[(u32, &[f32], &[f64])], channels: &BTreeSet<usize>) -> Option<f64> {
    let (mut both, mut own, mut left) = (0.0, 0.0, 0.0);
    let values = || channels.iter().flat_map(|&c| rows.iter().map(move |r| (f64::from(r.1[c]), r.2[c])));
    for (a, b) in values() {
        both += a * b;
        own += b * b;
    }
    let factor = both / own;
    for (a, b) in values() {
        left += (a - factor * b).powi(2);
    }
    (values().count() > 1 && left <= 1e-8 * own).then_some(factor)
}

/// The column whose input is in step with what one row is off by, and the difference of that weight.
fn element(case: &Case<'_, '_>, rows: &[(u32, &[f32], &[f64])], row: usize) -> Option<(usize, f64)> {
    if rows.len() < 2 {
        return None;
    }
    let inputs: Vec<Vec<f64>> = rows.iter().map(|(p, _, _)| case.input(0, *p)).collect::<Option<_>>()?;
    let off: Vec<f64> = rows.iter().map(|(_, a, b)| f64::from(a[row]) - b[row]).collect();
    let total: f64 = off.iter().map(|x| x * x).sum();
    let mut best: Option<(f64, usize, f64)> = None;
    for column in 0..inputs[0].len() {
        let (mut both, mut own) = (0.0, 0.0);
        for (x, off) in inputs.iter().zip(&off) {
            both += x[column] * off;
            own += x[column] * x[column];
        }
        if own == 0.0 {
            continue;
        }
        let left = total - both * both / own;
        if best.is_none_or(|(least, _, _)| left < least) {
            best = Some((left, column, both / own));
        }
    }
    // Rounded activations leave a per cent or so of the input.
    best.filter(|(left, _, _)| *left <= 3e-3 * total).map(|(_, column, delta)| (column, delta))
}
