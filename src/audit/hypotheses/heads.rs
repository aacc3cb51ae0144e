//! Attention with other key heads than the model's, or with values that were turned.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::engine::cpu::kernel::Moment;
use crate::engine::cpu::ops;
use crate::model::graph::{Attention, Rope};
use crate::model::{Checkpoint, NodeId, Op, Site};

/// See the module.
pub struct Heads;

/// A head of keys is believed to be meant when this near, as a share of the norm: caches are rounded.
const NEAR: f64 = 0.05;

impl Hypothesis for Heads {
    fn id(&self) -> &'static str {
        "attention-heads"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let mut trials = Vec::new();
        let site = case.node.checkpoint.map(Checkpoint::site);
        if site == Some(Site::Vcur)
            && let Some((rope, frequencies)) = rope(case)
            && rope.heads * rope.head_dim == case.node.width
        {
            let post = move |position: u32, out: &mut [f64]| {
                let right = out.to_vec();
                ops::rope(&right, &rope, &frequencies, position as usize, out);
            };
            let change = Change { post: Some(Arc::new(post)), ..case.with(|_| {}) };
            trials.push(Trial::new(0, "RoPE is applied to the values, too".into(), change));
        }
        let (a, mixes) = match &case.node.op {
            Op::Scores(a) => (a, false),
            Op::Mix(a) => (a, true),
            _ => return trials,
        };
        if mixes
            && let Some((rope, frequencies)) = rope(case)
            && rope.heads == a.n_head_kv
            && rope.head_dim == a.head_dim_v
        {
            let own = a.clone();
            let execute = move |_: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
                let width = rope.heads * rope.head_dim;
                let mut turned = vec![0.0; inputs[1].len()];
                for (p, (x, y)) in inputs[1].chunks(width).zip(turned.chunks_mut(width)).enumerate() {
                    ops::rope(x, &rope, &frequencies, p, y);
                }
                attend(&own, true, [inputs[0], &turned], at, &|h| h * own.n_head_kv / own.n_head, out);
            };
            let says = "RoPE is applied to the values, too".to_owned();
            trials.push(Trial::new(0, says, case.executed(Arc::new(execute))));
        }
        if case.is_direct()
            && a.n_head_kv > 1
            && let Some(map) = measured(case, a, mixes)
        {
            let shown: Vec<String> = map.iter().take(8).map(ToString::to_string).collect();
            let what = if mixes { "value" } else { "key" };
            let says = if map.iter().all(|g| *g == map[0]) {
                format!("all query heads use {what} head {}", map[0])
            } else {
                format!("query heads use other {what} heads than the model's: {}", shown.join(", "))
            };
            let own = a.clone();
            let execute = move |_: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
                attend(&own, mixes, [inputs[0], inputs[1]], at, &|h| map[h], out);
            };
            trials.push(Trial::new(11, says, case.executed(Arc::new(execute))));
        }
        trials
    }
}

/// RoPE of the keys in the node's layer.
fn rope(case: &Case<'_, '_>) -> Option<(Rope, Vec<f64>)> {
    let layer = case.node.checkpoint.and_then(Checkpoint::layer_index)?;
    let key = Checkpoint::layer(Site::KcurRope, layer);
    let at = case.graph().nodes.iter().position(|n| n.checkpoint == Some(key))?;
    let id = NodeId(at as u32);
    let Op::Rope(rope) = &case.graph().node(id).op else { return None };
    let bound = case.machine().bound(id).ok()?;
    Some((rope.clone(), bound.frequencies().to_vec()))
}

/// Scores, or their mix, with query head h on the keys or values of head `group(h)`.
fn attend(
    a: &Attention,
    mixes: bool,
    [own, history]: [&[f64]; 2],
    at: Moment,
    group: &dyn Fn(usize) -> usize,
    out: &mut Vec<f64>,
) {
    let visible = at.position + 1;
    let of_head = if mixes { a.head_dim_v } else { a.head_dim };
    let width = a.n_head_kv * of_head;
    out.clear();
    for head in 0..a.n_head {
        let row = |slot: usize| &history[slot * width + group(head) * of_head..][..of_head];
        if mixes {
            let shares = &own[head * visible..][..visible];
            let mut mixed = vec![0.0; of_head];
            for (slot, share) in shares.iter().enumerate() {
                for (out, x) in mixed.iter_mut().zip(row(slot)) {
                    *out += share * x;
                }
            }
            out.extend(mixed);
        } else {
            let query = &own[head * of_head..][..of_head];
            out.extend((0..visible).map(|slot| query.iter().zip(row(slot)).map(|(q, k)| q * k).sum::<f64>()));
        }
    }
}

/// For each query head the key head whose keys or values give what was recorded; `None` where there is
/// none, or where they are the right ones.
fn measured(case: &Case<'_, '_>, a: &Attention, mixes: bool) -> Option<Vec<usize>> {
    let history = case.traced().table(*case.node.inputs.get(1)?).ok()?;
    let mut off = vec![vec![0.0; a.n_head_kv]; a.n_head];
    let mut norms = vec![0.0; a.n_head];
    for (p, recorded, _) in case.rows() {
        let own = case.input(0, p)?;
        let mut rows: Vec<f64> = Vec::new();
        for slot in 0..=p {
            rows.extend(history.row(slot)?.iter().map(|&x| f64::from(x)));
        }
        let at = Moment { position: p as usize, token: 0 };
        let of_head = if mixes { a.head_dim_v } else { at.position + 1 };
        for group in 0..a.n_head_kv {
            let mut made = Vec::new();
            attend(a, mixes, [&own, &rows], at, &|_| group, &mut made);
            for (head, (made, seen)) in made.chunks(of_head).zip(recorded.chunks(of_head)).enumerate() {
                let off = &mut off[head][group];
                *off += made.iter().zip(seen).map(|(x, &y)| (x - f64::from(y)).powi(2)).sum::<f64>();
                if group == 0 {
                    norms[head] += seen.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>();
                }
            }
        }
    }
    let mut map = Vec::with_capacity(a.n_head);
    for (off, norm) in off.iter().zip(&norms) {
        let (group, least) = off.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
        if !(least <= NEAR * NEAR * norm) {
            return None;
        }
        map.push(group);
    }
    let right = map.iter().enumerate().all(|(h, g)| *g == h * a.n_head_kv / a.n_head);
    (!right && !map.is_empty()).then_some(map)
}
