//! Flash attention of llama.cpp on the CPU, one token: query and cache f16, scores f32, and an f16
//! accumulator that takes one position after the other.

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
        at.is_llama_cpu() && at.cache() != Some("q8_0")
    }
    fn fused(&self, a: &Attention, query: &[f64], keys: &[f64], values: &[f64], out: &mut [f64]) -> bool {
        let visible = keys.len() / (a.n_head_kv * a.head_dim).max(1);
        let hidden = a.window.map_or(0, |w| visible.saturating_sub(w));
        let shared = a.n_head / a.n_head_kv;
        let q: Vec<f64> = query.iter().map(|&x| to_f16(x)).collect();
        let mut sums = vec![0.0_f32; a.head_dim_v];
        for (head, out) in out.chunks_mut(a.head_dim_v).enumerate() {
            sums.fill(0.0);
            let (mut total, mut largest) = (0.0_f32, f32::NEG_INFINITY);
            let q = &q[head * a.head_dim..][..a.head_dim];
            for p in hidden..visible {
                let k = &keys[(p * a.n_head_kv + head / shared) * a.head_dim..][..a.head_dim];
                let dot: f64 = q.iter().zip(k).map(|(q, k)| q * to_f16(*k)).sum();
                let s = score(a, dot as f32);
                let mut weight = 1.0_f32;
                let mut kept = 1.0_f32;
                if s > largest {
                    kept = (largest - s).exp();
                    largest = s;
                    for sum in &mut sums {
                        *sum = half(*sum * kept);
                    }
                } else {
                    weight = (s - largest).exp();
                }
                let v = &values[(p * a.n_head_kv + head / shared) * a.head_dim_v..][..a.head_dim_v];
                for (sum, v) in sums.iter_mut().zip(v) {
                    *sum = half((to_f16(*v) as f32).mul_add(weight, *sum));
                }
                total = total.mul_add(kept, weight);
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = f64::from(sum / total);
            }
        }
        true
    }
    /// An exponential that rounds the other way moves the f16 sums: measured against the
    /// emulated order, at most 7.7e-5.
    fn floor(&self, _: usize) -> Option<f64> {
        Some(2e-4)
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
