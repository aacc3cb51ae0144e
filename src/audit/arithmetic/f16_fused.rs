//! Flash attention of llama.cpp on the CPU, one token: query and cache f16, scores f32, and an f16
//! accumulator that takes one position after the other, one a thread where the cache is long.

use super::{Circumstance, Rule, to_f16};
use crate::model::graph::Attention;
use crate::model::{Node, Op};

/// See the module.
pub struct F16Fused;

impl Rule for F16Fused {
    fn id(&self) -> &'static str {
        "f16-fused"
    }
    fn title(&self) -> &'static str {
        "f16 flash attention, f16 sums, as llama.cpp on the CPU"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::Scores(_) | Op::Mix(_)) && at.fused
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu() && at.cache().is_none_or(|cache| cache == "f16")
    }
    fn fused(
        &self,
        a: &Attention,
        at: &Circumstance<'_>,
        query: &[f64],
        keys: &[f64],
        values: &[f64],
        out: &mut [f64],
    ) -> bool {
        let visible = keys.len() / (a.n_head_kv * a.head_dim).max(1);
        let hidden = a.window.map_or(0, |w| visible.saturating_sub(w));
        let shared = a.n_head / a.n_head_kv;
        let part = part(at, visible);
        let q: Vec<f64> = query.iter().map(|&x| to_f16(x)).collect();
        for (head, out) in out.chunks_mut(a.head_dim_v).enumerate() {
            let q = &q[head * a.head_dim..][..a.head_dim];
            let score = |p: usize| {
                let k = &keys[(p * a.n_head_kv + head / shared) * a.head_dim..][..a.head_dim];
                let dot: f64 = q.iter().zip(k).map(|(q, k)| q * to_f16(*k)).sum();
                score(a, dot as f32)
            };
            let value =
                |p: usize| &values[(p * a.n_head_kv + head / shared) * a.head_dim_v..][..a.head_dim_v];
            let mut whole = Sums::new(a.head_dim_v);
            for first in (0..visible).step_by(part) {
                let mut sums = Sums::new(a.head_dim_v);
                for p in first.max(hidden)..visible.min(first + part) {
                    sums.add(score(p), value(p));
                }
                whole.join(&sums);
            }
            for (out, sum) in out.iter_mut().zip(&whole.values) {
                *out = f64::from(sum / whole.total);
            }
        }
        true
    }
    /// A weight that comes out otherwise by 2⁻²³ (the sum of a score in another order) moves a rounding of the
    /// accumulator with a chance of 2⁻²³ / 2⁻¹² a position, and the channel by one unit of f16, 2⁻¹⁰ of it. Whichever
    /// channels that happens to, once each, it is no more of the row; beyond 2¹¹ positions it happens more often.
    fn floor(&self, positions: usize) -> Option<f64> {
        let times = positions as f64 / 2048.0;
        Some(times.sqrt().max(1.0) / 1024.0)
    }
}

/// Positions that one accumulator takes: all, but for a single token over a cache of 512 and more every thread
/// has a part of its own (`use_split_kv_path` of ggml).
fn part(at: &Circumstance<'_>, visible: usize) -> usize {
    const CACHE_STEP: usize = 256;
    const SPLIT: usize = 512;
    let cache = visible.next_multiple_of(CACHE_STEP).max(1);
    let threads = at.header.and_then(|h| h.settings.threads).map_or(1, |n| n.max(1) as usize);
    if at.columns.is_some_and(|n| n > 1) || cache < SPLIT { cache } else { cache.div_ceil(threads) }
}

/// What one accumulator holds.
struct Sums {
    values: Vec<f32>,
    total: f32,
    largest: f32,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { values: vec![0.0; width], total: 0.0, largest: f32::NEG_INFINITY }
    }

    /// Takes one position more, in f16.
    fn add(&mut self, score: f32, values: &[f64]) {
        let mut weight = 1.0_f32;
        let mut kept = 1.0_f32;
        if score > self.largest {
            kept = (self.largest - score).exp();
            self.largest = score;
            for sum in &mut self.values {
                *sum = half(*sum * kept);
            }
        } else {
            weight = (score - self.largest).exp();
        }
        for (sum, v) in self.values.iter_mut().zip(values) {
            *sum = half((to_f16(*v) as f32).mul_add(weight, *sum));
        }
        self.total = self.total.mul_add(kept, weight);
    }

    /// Takes another's sums, in f32.
    fn join(&mut self, other: &Self) {
        if other.total == 0.0 {
            return;
        }
        let largest = self.largest.max(other.largest);
        let (own, theirs) = ((self.largest - largest).exp(), (other.largest - largest).exp());
        for (sum, x) in self.values.iter_mut().zip(&other.values) {
            *sum = *sum * own + x * theirs;
        }
        self.total = self.total * own + other.total * theirs;
        self.largest = largest;
    }
}

fn half(x: f32) -> f32 {
    ::half::f16::from_f32(x).to_f32()
}

fn score(a: &Attention, dot: f32) -> f32 {
    match a.softcap {
        Some(cap) => cap * (dot * (a.scale / cap)).tanh(),
        None => dot * a.scale,
    }
}
