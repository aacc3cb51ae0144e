//! The softmax itself: what it is divided by, over what it goes, what is added to the scores.

use std::sync::Arc;

use super::attention_mask::{scaled, soft_max};
use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::engine::cpu::kernel::Moment;
use crate::figures::figure;
use crate::model::Op;
use crate::model::graph::Attention;

/// See the module.
pub struct SoftMaxRules;

impl Hypothesis for SoftMaxRules {
    fn id(&self) -> &'static str {
        "softmax"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Op::SoftMax(a) = &case.node.op else { return Vec::new() };
        let mut trials = vec![over_heads(case, a), undivided(case, a, true), undivided(case, a, false)];
        trials.push(one_more(case, a));
        if let Some(cap) = a.softcap {
            trials.extend(capped(case, a, cap));
        }
        trials.extend(sloped(case, a));
        trials
    }
}

/// Heads' rows by themselves.
fn by_head(
    case: &Case<'_, '_>,
    row: impl Fn(&mut [f64], usize, &Attention) + Send + Sync + 'static,
    a: &Attention,
) -> Change {
    let a = a.clone();
    case.executed(Arc::new(move |_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
        out.clear();
        out.extend_from_slice(inputs[0]);
        for (head, scores) in out.chunks_mut(at.position + 1).enumerate() {
            row(scores, head, &a);
        }
    }))
}

fn is_seen(a: &Attention, visible: usize, slot: usize) -> bool {
    a.window.is_none_or(|window| visible - slot <= window)
}

fn over_heads(case: &Case<'_, '_>, a: &Attention) -> Trial {
    let a = a.clone();
    let execute = move |_: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
        let visible = at.position + 1;
        out.clear();
        out.resize(inputs[0].len(), 0.0);
        for slot in 0..visible {
            let mut column: Vec<f64> = inputs[0].chunks(visible).map(|head| head[slot]).collect();
            soft_max(&mut column, &a, |_| is_seen(&a, visible, slot));
            for (head, x) in column.into_iter().enumerate() {
                out[head * visible + slot] = x;
            }
        }
    };
    let says = "the softmax goes over the heads instead of the positions".to_owned();
    Trial::new(0, says, case.executed(Arc::new(execute)))
}

fn undivided(case: &Case<'_, '_>, a: &Attention, shifted: bool) -> Trial {
    let says = if shifted {
        "the exponentials of the scores are not divided by their sum"
    } else {
        "the exponentials of the scores are taken as they are: not divided by their sum, nor the largest subtracted"
    };
    let row = move |row: &mut [f64], _: usize, a: &Attention| {
        let visible = row.len();
        let mut most = f64::NEG_INFINITY;
        for (slot, x) in row.iter_mut().enumerate() {
            *x = if is_seen(a, visible, slot) { scaled(*x, a) } else { f64::NEG_INFINITY };
            most = most.max(*x);
        }
        let most = if shifted { most } else { 0.0 };
        for x in row {
            *x = (*x - most).exp();
        }
    };
    Trial::new(0, says.to_owned(), by_head(case, row, a))
}

fn one_more(case: &Case<'_, '_>, a: &Attention) -> Trial {
    let row = |row: &mut [f64], _: usize, a: &Attention| {
        let visible = row.len();
        let mut longer: Vec<f64> = row.to_vec();
        longer.push(0.0);
        soft_max(&mut longer, a, |slot| slot == visible || is_seen(a, visible, slot));
        row.copy_from_slice(&longer[..visible]);
    };
    let says = "a key of score 0 takes part beside the right ones (padding that is not masked, or 1 added to the sum)";
    Trial::new(20, says.to_owned(), by_head(case, row, a))
}

/// Other caps, and the cap on scores that are not scaled yet.
fn capped(case: &Case<'_, '_>, a: &Attention, cap: f32) -> Vec<Trial> {
    let change = |edit: &dyn Fn(&mut Attention)| {
        case.with(|node| {
            if let Op::SoftMax(a) = &mut node.op {
                edit(a);
            }
        })
    };
    let mut trials = Vec::new();
    // Caps of models that are in use.
    for other in [20.0_f32, 30.0, 50.0, 100.0] {
        if other != cap {
            let says = format!(
                "scores are capped at {} where the model says {}",
                figure(other.into()),
                figure(cap.into())
            );
            trials.push(Trial::new(0, says, change(&|a| a.softcap = Some(other))));
        }
    }
    let root = (a.head_dim as f32).sqrt();
    let says = "scores are capped before they are scaled".to_owned();
    let row = move |row: &mut [f64], _: usize, a: &Attention| {
        let visible = row.len();
        let cap = f64::from(cap);
        let plain = Attention { softcap: None, ..a.clone() };
        for x in row.iter_mut() {
            // The scaling may lie in the query.
            let unscaled = if a.scale == 1.0 { *x * f64::from(root) } else { *x };
            let capped = cap * (unscaled / cap).tanh();
            *x = if a.scale == 1.0 { capped / f64::from(root) } else { capped };
        }
        soft_max(row, &plain, |slot| is_seen(&plain, visible, slot));
    };
    trials.push(Trial::new(0, says, by_head(case, row, a)));
    trials
}

/// A bias in proportion to the distance, measured on the logarithms of the probabilities.
fn sloped(case: &Case<'_, '_>, a: &Attention) -> Option<Trial> {
    if !case.is_direct() {
        return None;
    }
    let (mut both, mut own) = (vec![0.0; a.n_head], vec![0.0; a.n_head]);
    for (p, recorded, _) in case.rows() {
        let scores = case.input(0, p)?;
        let visible = p as usize + 1;
        for (head, (scores, row)) in scores.chunks(visible).zip(recorded.chunks(visible)).enumerate() {
            let off: Vec<(f64, f64)> = scores
                .iter()
                .zip(row)
                .enumerate()
                .filter(|(_, (_, x))| **x > 1e-6)
                .map(|(slot, (s, &x))| (slot as f64, f64::from(x).ln() - scaled(*s, a)))
                .collect();
            let n = off.len() as f64;
            let (at, middle) =
                (off.iter().map(|o| o.0).sum::<f64>() / n, off.iter().map(|o| o.1).sum::<f64>() / n);
            if head < a.n_head && off.len() > 1 {
                both[head] += off.iter().map(|o| (o.0 - at) * (o.1 - middle)).sum::<f64>();
                own[head] += off.iter().map(|o| (o.0 - at).powi(2)).sum::<f64>();
            }
        }
    }
    let slopes: Vec<f64> = both.iter().zip(&own).map(|(b, o)| b / o).collect();
    if slopes.iter().any(|s| !s.is_finite()) || slopes.iter().all(|s| s.abs() < 1e-4) {
        return None;
    }
    let shown: Vec<String> = slopes.iter().take(4).map(|s| figure(*s)).collect();
    let says = format!(
        "a bias in proportion to the distance is added to the scores (ALiBi; slopes {} …)",
        shown.join(", ")
    );
    let row = move |row: &mut [f64], head: usize, a: &Attention| {
        let visible = row.len();
        let slope = slopes.get(head).copied().unwrap_or(0.0);
        let plain = Attention { scale: 1.0, softcap: None, ..a.clone() };
        for (slot, x) in row.iter_mut().enumerate() {
            *x = scaled(*x, a) + slope * slot as f64;
        }
        soft_max(row, &plain, |slot| is_seen(&plain, visible, slot));
    };
    Some(Trial::new(0, says, by_head(case, row, a)))
}
