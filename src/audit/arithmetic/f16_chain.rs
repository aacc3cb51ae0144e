//! Matrix times one vector in f16 on CUDA: each lane of a block takes every so many-th pair of products
//! and adds them up in f16, with one rounding a step (`mul_mat_vec_f` of ggml, F16 weights and the
//! f16 values of a cache); the lanes meet in f32.

use super::f16_sums::F16Sums;
use super::half;

/// See the module.
pub static F16_CHAIN: F16Sums = F16Sums {
    id: "f16-chain",
    title: "f16 products and lane sums, as llama.cpp on CUDA",
    columns: |n| n <= 1,
    sum: |a, b, cached| sum(a, b, if cached { a.len().next_multiple_of(CACHE_STEP) } else { a.len() }),
    floor: |_| None,
    admits: |_| true,
};

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
