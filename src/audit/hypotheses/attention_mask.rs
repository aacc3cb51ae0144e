//! Keys that attention does not see though it should: the first ones, those beyond a window, some.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::model::Op;
use crate::model::graph::Attention;

/// See the module.
pub struct AttentionMask;

/// Positions that are looked at.
const MOST: usize = 64;
/// A right probability below this may come out as zero.
const TINY: f64 = 1e-12;

impl Hypothesis for AttentionMask {
    fn id(&self) -> &'static str {
        "attention-mask"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Op::SoftMax(a) = &case.node.op else { return Vec::new() };
        if !case.is_direct() {
            return Vec::new();
        }
        let mut hidden: Vec<Hidden> = Vec::new();
        let all: Vec<u32> = case.faulty.iter().copied().take(MOST).collect();
        let (Ok(expected), Ok(table)) = (case.right(&all, None), case.traced().table(case.target)) else {
            return Vec::new();
        };
        for (&position, right) in &expected {
            let Some(recorded) = table.row(position) else { continue };
            let visible = position as usize + 1;
            for (head, (row, right)) in recorded.chunks(visible).zip(right.chunks(visible)).enumerate() {
                let telling = |j: &usize| right[*j] > TINY;
                let slots = (0..row.len()).filter(telling).filter(|&j| row[j] == 0.0).collect();
                let seen = (0..row.len()).filter(telling).filter(|&j| row[j] != 0.0).collect();
                hidden.push(Hidden { position, head, slots, seen });
            }
        }
        if hidden.iter().all(|h| h.slots.is_empty()) {
            return Vec::new();
        }
        let says = describe(&hidden, a);
        let a = a.clone();
        let execute =
            move |_: &_, at: crate::engine::cpu::kernel::Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
                out.clear();
                out.extend_from_slice(inputs[0]);
                let Some(seen) = table.row(at.position as u32) else { return };
                let visible = at.position + 1;
                for (out, seen) in out.chunks_mut(visible).zip(seen.chunks(visible)) {
                    soft_max(out, &a, |j| seen.get(j).is_some_and(|&x| x != 0.0));
                }
            };
        vec![Trial::new(0, says, case.executed(Arc::new(execute)))]
    }
}

/// Slots of one row that are zero though they should not be, and those that are not.
struct Hidden {
    position: u32,
    head: usize,
    slots: BTreeSet<usize>,
    seen: BTreeSet<usize>,
}

/// Scores as the softmax takes them: scaled, capped.
pub fn scaled(score: f64, a: &Attention) -> f64 {
    let score = score * f64::from(a.scale);
    a.softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
}

/// Turns scores into probabilities over the slots that are seen.
pub fn soft_max(row: &mut [f64], a: &Attention, seen: impl Fn(usize) -> bool) {
    let mut most = f64::NEG_INFINITY;
    for (j, x) in row.iter_mut().enumerate() {
        *x = if seen(j) { scaled(*x, a) } else { f64::NEG_INFINITY };
        most = most.max(*x);
    }
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = if *x == f64::NEG_INFINITY { 0.0 } else { (*x - most).exp() };
        sum += *x;
    }
    if sum > 0.0 {
        for x in row {
            *x /= sum;
        }
    }
}

fn describe(hidden: &[Hidden], a: &Attention) -> String {
    let heads: BTreeSet<usize> = hidden.iter().filter(|h| !h.slots.is_empty()).map(|h| h.head).collect();
    let where_at = if heads.len() < a.n_head {
        let shown: Vec<String> = heads.iter().take(6).map(ToString::to_string).collect();
        format!(" in heads {}", shown.join(", "))
    } else {
        String::new()
    };
    let concerned = || hidden.iter().filter(|h| heads.contains(&h.head));
    let all = |rule: &dyn Fn(&Hidden, usize) -> bool| {
        concerned().all(|h| h.slots.iter().all(|&j| rule(h, j)) && h.seen.iter().all(|&j| !rule(h, j)))
    };
    // The newest that is hidden anywhere fixes a window, the last of the first ones a start.
    let reach = concerned().filter_map(|h| Some(h.position as usize - h.slots.last()?)).min().unwrap_or(0);
    if reach > 0 && all(&|h, j| h.position as usize - j >= reach) {
        let has = a.window.map_or("the model has none".to_owned(), |w| format!("the model says {w}"));
        return format!("attention sees a sliding window of {reach} positions{where_at}, where {has}");
    }
    // The newest that is hidden ends a chunk.
    let end = concerned().filter_map(|h| h.slots.last()).min().map_or(0, |last| last + 1);
    if end > 1 && all(&|h, j| j / end < h.position as usize / end) {
        return format!("attention sees only positions of its own chunk of {end}{where_at}");
    }
    let first = concerned().filter_map(|h| h.slots.last()).max().map_or(0, |last| last + 1);
    if all(&|h, j| j < first.min(h.position as usize)) || all(&|_, j| j < first) {
        let what = if first == 1 {
            "the first position is".into()
        } else {
            format!("the first {first} positions are")
        };
        return format!("{what} hidden from attention{where_at}");
    }
    let common = concerned().map(|h| h.slots.clone()).reduce(|a, b| &a & &b).unwrap_or_default();
    if !common.is_empty() && concerned().all(|h| h.slots == common) {
        let shown: Vec<String> = common.iter().take(6).map(ToString::to_string).collect();
        return format!("positions {} are hidden from attention{where_at}", shown.join(", "));
    }
    format!("some earlier positions are hidden from attention{where_at}")
}
