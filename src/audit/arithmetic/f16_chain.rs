//! Matrix times one vector in f16 on CUDA: each lane of a block takes every so many-th pair of products
//! and adds them up in f16, with one rounding a step (`mul_mat_vec_f` of ggml, F16 weights and the
//! f16 values of a cache); the lanes meet in f32.

use super::heads::mix;
use super::{Circumstance, Rule, half, is_f16_sum, to_f16};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::model::{Node, Op};

/// See the module.
pub struct F16Chain;

/// A cache's rows come in steps of so many (`llama_kv_cache::get_n_kv`); those that are not seen add zeros.
const CACHE_STEP: usize = 256;

/// Elements that a block takes at once, two a thread: the kernel's own choice, the fewest of
/// 32 to 256 threads that need the fewest rounds.
fn lanes(len: usize) -> usize {
    let rounds = |threads: usize| len.div_ceil(2 * threads);
    let threads = (32..=256).step_by(32).min_by_key(|&threads| rounds(threads)).unwrap_or(32);
    2 * threads
}

/// The sum of products of two rows, whose kernel sees `len` of them.
fn sum(a: &[f64], b: &[f64], len: usize) -> f64 {
    let lanes = lanes(len);
    let mut sums = vec![0.0_f64; lanes.min(a.len())];
    for (a, b) in a.chunks(lanes).zip(b.chunks(lanes)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = half::round(a * b + *sum);
        }
    }
    sums.iter().sum()
}

impl Rule for F16Chain {
    fn id(&self) -> &'static str {
        "f16-chain"
    }
    fn title(&self) -> &'static str {
        "f16 products and lane sums, as llama.cpp on CUDA"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        is_f16_sum(node, at)
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let cached = matches!(node.op, Op::MatMul) || at.cache() == Some("f16");
        at.is_llama_cuda() && at.columns.is_some_and(|n| n <= 1) && cached && !at.fused
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = to_f16(*x);
        }
    }
    fn sum(&self, weights: &[f32], column: &[f64]) -> Option<f64> {
        let weights: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
        Some(sum(&weights, column, column.len()))
    }
    fn evaluate(&self, node: &Node, _: &Bound, _: Moment, inputs: &[&[f64]], out: &mut [f64]) -> bool {
        let Op::Mix(a) = &node.op else { return false };
        mix(a, inputs, out, |values, probabilities| {
            sum(values, probabilities, values.len().next_multiple_of(CACHE_STEP))
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_as_many_threads_as_save_a_round() {
        // K = 256: 128 threads take it in one round; 1536: 256 threads need three; 64: one warp.
        assert_eq!([64, 256, 512, 1536, 14336].map(lanes), [64, 256, 512, 512, 512]);
        // 768: two rounds of 192 threads, which 256 could not better.
        assert_eq!(lanes(768), 384);
    }

    #[test]
    fn each_step_rounds_once() {
        // One lane adds 1 and 2⁻¹², which f16 cannot hold beside it; two lanes keep both.
        let (mut a, b) = (vec![0.0; 1024], vec![1.0; 1024]);
        (a[0], a[512]) = (1.0, 1.0 / 4096.0);
        assert_eq!(sum(&a, &b, 1024), 1.0);
        (a[512], a[1]) = (0.0, 1.0 / 4096.0);
        assert_eq!(sum(&a, &b, 1024), 1.0 + 1.0 / 4096.0);
    }
}
