//! Attention by other rules: scale, mask, window, soft-cap, which key head, which slot of the cache.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::{Change, Slots};
use crate::figures::figure;
use crate::model::Op;
use crate::model::departure::Grouping;
use crate::model::graph::Attention;

/// See the module.
pub struct AttentionRules;

impl Hypothesis for AttentionRules {
    fn id(&self) -> &'static str {
        "attention"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Some(a) = case.node.op.attention() else { return Vec::new() };
        match case.node.op {
            Op::SoftMax(_) => softmax(case, a),
            Op::Scores(_) | Op::Mix(_) => cached(case, a),
            _ => Vec::new(),
        }
    }
}

fn edited(case: &Case<'_, '_>, edit: impl FnOnce(&mut Attention)) -> Change {
    case.with(|node| {
        if let Op::Scores(a) | Op::SoftMax(a) | Op::Mix(a) = &mut node.op {
            edit(a);
        }
    })
}

/// Trials at the softmax, where scale, soft-cap, mask and window act.
fn softmax(case: &Case<'_, '_>, a: &Attention) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |kin: u8, says: String, change: Change| trials.push(Trial::new(kin, says, change));
    let (head, embd) = (a.head_dim as f32, case.graph().n_embd as f32);
    let scales = [
        (1.0, "scores are not scaled"),
        (a.scale * a.scale, "scores are scaled twice"),
        (1.0 / head.sqrt(), "scores are scaled by 1/√head_dim, which the query is already"),
        (1.0 / head, "scores are divided by head_dim instead of its root"),
        (1.0 / embd.sqrt(), "scores are divided by √n_embd instead of √head_dim"),
        (1.0 / (embd / a.n_head_kv as f32).sqrt(), "scores are divided by √(n_embd / key heads)"),
        (a.scale * a.n_head as f32, "scores are multiplied by the number of heads"),
    ];
    for (scale, says) in scales {
        if (scale / a.scale - 1.0).abs() > 1e-4 {
            add(21, says.to_owned(), edited(case, |a| a.scale = scale));
        }
    }
    if a.softcap.is_some() {
        add(15, "scores are not soft-capped".into(), edited(case, |a| a.softcap = None));
    }
    if let Some(window) = a.window {
        add(16, "the sliding window is ignored".into(), edited(case, |a| a.window = None));
        for (other, what) in
            [(window + 1, "one position too long"), (window.saturating_sub(1), "one position too short")]
        {
            add(16, format!("the sliding window is {what}"), edited(case, |a| a.window = Some(other.max(1))));
        }
    }
    let hidden = case.with(|node| node.departure.hidden = 1);
    trials.push(Trial::new(20, "the mask hides the newest position from itself".into(), hidden));
    if case.is_direct() {
        trials.extend(temperature(case, a));
        trials.extend(future(case));
    }
    trials
}

/// Another scale, which the ratios of probabilities tell.
fn temperature(case: &Case<'_, '_>, a: &Attention) -> Option<Trial> {
    if a.softcap.is_some() {
        return None;
    }
    let (mut both, mut own) = (0.0, 0.0);
    for (p, recorded, _) in case.rows() {
        let scores = case.input(0, p)?;
        let visible = p as usize + 1;
        for (scores, row) in scores.chunks(visible).zip(recorded.chunks(visible)) {
            let top = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?.0;
            for (s, &x) in scores.iter().zip(row) {
                // Where a probability is tiny its logarithm is mostly rounding.
                if x > 1e-3 && f64::from(x) < f64::from(row[top]) * 0.999 {
                    let (ratio, step) = ((f64::from(x) / f64::from(row[top])).ln(), s - scores[top]);
                    both += ratio * step;
                    own += step * step;
                }
            }
        }
    }
    let scale = both / own;
    (scale.is_finite() && scale > 0.0).then(|| {
        Trial::new(
            21,
            format!("scores are scaled by {} instead of {}", figure(scale), figure(a.scale.into())),
            edited(case, |a| a.scale = scale as f32),
        )
    })
}

/// Probabilities that do not add up to one: the rest went to positions that should not be seen.
fn future(case: &Case<'_, '_>) -> Option<Trial> {
    let table = case.traced().table(case.target).ok()?;
    let mut sums: std::collections::HashMap<u32, Vec<f64>> = std::collections::HashMap::new();
    for (&p, recorded) in &table.rows {
        let visible = p as usize + 1;
        let of_heads: Vec<f64> =
            recorded.chunks(visible).map(|row| row.iter().map(|&x| f64::from(x)).sum()).collect();
        // A head whose row adds up to more than one is not explained by a mask.
        if of_heads.iter().any(|s| !(*s > 0.0 && *s < 1.0 + 1e-6)) {
            return None;
        }
        sums.insert(p, of_heads);
    }
    let short: BTreeSet<usize> = sums
        .values()
        .flat_map(|of_heads| of_heads.iter().enumerate().filter(|(_, s)| **s < 1.0 - 1e-4).map(|(h, _)| h))
        .collect();
    let heads = sums.values().next().map_or(0, Vec::len);
    if short.is_empty() {
        return None;
    }
    let mut change = case.with(|_| {});
    change.post = Some(Arc::new(move |position, out| {
        let visible = position as usize + 1;
        let Some(sums) = sums.get(&position) else { return };
        for (row, sum) in out.chunks_mut(visible).zip(sums) {
            for x in row {
                *x *= sum;
            }
        }
    }));
    let which = if short.len() < heads {
        let shown: Vec<String> = short.iter().take(6).map(ToString::to_string).collect();
        format!(" in heads {}", shown.join(", "))
    } else {
        String::new()
    };
    // Nothing later was computed beside the last position of a batch, but padding may have been.
    let says = format!(
        "the mask lets through what must not be seen{which}: part of the probability goes to other positions \
         (later ones, so that the causal mask is missing, or padding)"
    );
    Some(Trial::new(20, says, change))
}

/// Trials at scores and mix, which read the cache.
fn cached(case: &Case<'_, '_>, a: &Attention) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut slots = |says: &str, slots: Slots| {
        let change = Change { slots: Some(slots), ..case.with(|_| {}) };
        trials.push(Trial::new(9, says.to_owned(), change));
    };
    slots(
        "the newest key or value is not yet in the cache: its slot is empty",
        Arc::new(|p, slot| (slot != p).then_some(slot)),
    );
    slots(
        "the newest slot of the cache still holds the position before",
        Arc::new(|p, slot| Some(if slot == p { p.saturating_sub(1) } else { slot })),
    );
    slots(
        "keys and values are read one position too early",
        Arc::new(|_, slot| Some(slot.saturating_sub(1))),
    );
    slots("keys and values are read one position too late", Arc::new(|p, slot| Some((slot + 1).min(p))));
    slots(
        "keys and values are stored one slot too far: the first slot stays empty",
        Arc::new(|_, slot| slot.checked_sub(1)),
    );
    slots("only the first position is ever in the cache", Arc::new(|_, _| Some(0)));
    // A ring that is too short errs first at the position that is as large as it.
    if let Some(&ring) = case.faulty.first().filter(|first| **first > 1) {
        slots(
            &format!("the cache has only {ring} slots: later positions overwrite earlier ones"),
            Arc::new(move |p, slot| Some(slot + (p - slot) / ring * ring)),
        );
    }
    if a.n_head_kv > 1 && a.n_head > a.n_head_kv {
        let tiled = case.with(|node| node.departure.grouping = Grouping::Tile);
        let says = "query heads are mapped to key heads by tiling (h mod n) instead of repeating";
        trials.push(Trial::new(11, says.into(), tiled));
    }
    trials
}
