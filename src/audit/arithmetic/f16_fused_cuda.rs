//! Flash attention of llama.cpp on CUDA over a batch, on tensor cores: query (with the scale) and cache f16,
//! scores f32, probabilities f16, and an f16 accumulator that takes sixteen positions at once.

use super::f16_groups::GROUP;
use super::{Circumstance, Rule, half, to_f16};
use crate::model::graph::Attention;
use crate::model::{Node, Op};

/// See the module.
pub struct F16FusedCuda;

/// Positions after which the largest score is looked for anew, and the accumulator scaled to it.
const TILE: usize = 64;
/// What is taken off every score, so that f16 sums stay in range (`FATTN_KQ_MAX_OFFSET`: 3 ln 2).
const OFFSET: f64 = 3.0 * std::f64::consts::LN_2;

impl Rule for F16FusedCuda {
    fn id(&self) -> &'static str {
        "f16-fused-cuda"
    }
    fn title(&self) -> &'static str {
        "f16 flash attention, f16 sums, as llama.cpp on CUDA"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::Scores(_) | Op::Mix(_)) && at.fused && !at.is_llama_cpu()
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cuda() && at.columns.is_some_and(|n| n > 1)
    }
    fn fused(
        &self,
        a: &Attention,
        _: &Circumstance<'_>,
        query: &[f64],
        keys: &[f64],
        values: &[f64],
        out: &mut [f64],
    ) -> bool {
        let visible = keys.len() / (a.n_head_kv * a.head_dim).max(1);
        let hidden = a.window.map_or(0, |w| visible.saturating_sub(w));
        let shared = a.n_head / a.n_head_kv;
        let scale = to_f16(f64::from(a.softcap.map_or(a.scale, |cap| a.scale / cap)));
        let q: Vec<f64> = query.iter().map(|&x| half::round(to_f16(x) * scale)).collect();
        for (head, out) in out.chunks_mut(a.head_dim_v).enumerate() {
            let q = &q[head * a.head_dim..][..a.head_dim];
            let score = |p: usize| -> f64 {
                let k = &keys[(p * a.n_head_kv + head / shared) * a.head_dim..][..a.head_dim];
                let sum: f64 = q.iter().zip(k).map(|(q, k)| q * to_f16(*k)).sum();
                a.softcap.map_or(sum, |cap| f64::from(cap) * sum.tanh())
            };
            let scores: Vec<f64> =
                (0..visible).map(|p| if p < hidden { f64::NEG_INFINITY } else { score(p) }).collect();
            out.fill(0.0);
            let (mut largest, mut total) = (f64::NEG_INFINITY, 0.0);
            for (tile, scores) in scores.chunks(TILE).enumerate() {
                let here = scores.iter().copied().fold(largest, f64::max);
                if here == f64::NEG_INFINITY {
                    continue;
                }
                let kept = (largest - here).exp();
                largest = here;
                total *= kept;
                for sum in &mut *out {
                    *sum = half::round(*sum * to_f16(kept));
                }
                let weights: Vec<f64> = scores.iter().map(|s| (s - largest - OFFSET).exp()).collect();
                total += weights.iter().sum::<f64>();
                for (group, weights) in weights.chunks(GROUP).enumerate() {
                    let first = tile * TILE + group * GROUP;
                    for (channel, sum) in out.iter_mut().enumerate() {
                        let value = |i: usize| {
                            let row = (first + i) * a.n_head_kv + head / shared;
                            to_f16(values[row * a.head_dim_v + channel])
                        };
                        let products = weights.iter().enumerate().map(|(i, w)| to_f16(*w) * value(i));
                        *sum = half::round(*sum + products.sum::<f64>());
                    }
                }
            }
            for sum in &mut *out {
                *sum /= total;
            }
        }
        true
    }
    /// How the positions are cut between blocks depends on the GPU, and is not modelled: measured on one H200, 1e-3
    /// at worst.
    fn floor(&self, _: usize) -> Option<f64> {
        Some(2e-3)
    }
}
