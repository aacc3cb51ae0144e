//! Flash attention of llama.cpp on CUDA over a cache of 8, 5 or 4 bits.
//!
//! Derived from its source (`fattn.cu`, `fattn-vec.cuh`, `fattn-common.cuh`, `cpy-utils.cuh` and `fwht.cu` of llama.cpp
//! 0.6), and not yet held against a recorded run:
//!
//! - Rows are stored in blocks of 32; Q8_0 rounds quotients away from zero, where the CPU rounds half to even.
//! - One or two columns, heads of 64, 128 or 256, a type that has a kernel: the scaled query becomes Q8_1 with an f32 scale,
//!   what lies below the keys' zero meets the *unrounded* query's sum, and all else is f32 (`flash_attn_ext_vec`).
//! - Otherwise keys and values are widened to f16 and go the way of an f16 cache ([`super::f16_fused_cuda`]).
//! - Heads that are whole multiples of 64 are turned first and the result is turned back, as on the CPU.

use super::blocks::{Blocks, Scale};
use super::cache_blocks::{BLOCK, TURN, hadamard, q4_0, q4_1, q5_0, q5_1};
use super::f16_fused_cuda::F16FusedCuda;
use super::stored_cache::turn_of_keys;
use super::{Circumstance, Rule};
use crate::model::graph::Attention;
use crate::model::{Node, Op};

/// See the module.
pub struct CudaCache {
    id: &'static str,
    title: &'static str,
    /// Whether the vector kernel computes.
    vector: bool,
    turned: bool,
}

/// The vector kernel.
pub static VECTOR: CudaCache = CudaCache {
    id: "cuda-cache",
    title: "quantised cache, f32 sums, as llama.cpp on CUDA",
    vector: true,
    turned: false,
};
/// The vector kernel over turned heads.
pub static VECTOR_TURNED: CudaCache = CudaCache {
    id: "cuda-cache-turned",
    title: "turned quantised cache, f32 sums, as llama.cpp on CUDA",
    vector: true,
    turned: true,
};
/// Tensor cores.
pub static TENSOR: CudaCache = CudaCache {
    id: "cuda-cache-f16",
    title: "quantised cache, f16 sums, as llama.cpp on CUDA",
    vector: false,
    turned: false,
};
/// Tensor cores over turned heads.
pub static TENSOR_TURNED: CudaCache = CudaCache {
    id: "cuda-cache-f16-turned",
    title: "turned quantised cache, f16 sums, as llama.cpp on CUDA",
    vector: false,
    turned: true,
};

/// `quantize_q8_1_to_shared`: d = amax / 127, q = round(x / d), half away from zero.
const QUERY: Blocks = Blocks { len: BLOCK, multiplies: false, half_to_even: false, scale: Scale::Full };
/// `quantize_f32_q8_0_block`.
const STORED_Q8_0: Blocks = Blocks { len: BLOCK, multiplies: true, half_to_even: false, scale: Scale::Half };

fn store_q8_0(row: &mut [f64]) {
    STORED_Q8_0.round(row);
}

/// How a type of cache is stored.
fn store(cache: &str) -> Option<fn(&mut [f64])> {
    Some(match cache {
        "q8_0" => store_q8_0,
        "q5_1" => q5_1,
        "q5_0" => q5_0,
        "q4_1" => q4_1,
        "q4_0" => q4_0,
        _ => return None,
    })
}

/// What a value whose quantum is 0 stands for in each block of a stored row: the least value of a Q4_1 or Q5_1 block,
/// the value of largest size, which becomes the least quantum, of a Q4_0 or Q5_0 block. `unstored`: the row before.
fn zero(cache: &str, unstored: &[f64], stored: &[f64]) -> f64 {
    match cache {
        "q4_1" | "q5_1" => stored.iter().copied().fold(f64::INFINITY, f64::min),
        "q4_0" | "q5_0" => {
            let extreme = |best: usize, i: usize| {
                if unstored[i].abs() > unstored[best].abs() { i } else { best }
            };
            stored[(0..stored.len()).fold(0, extreme)]
        }
        _ => 0.0,
    }
}

impl CudaCache {
    fn vector_kernel(
        a: &Attention,
        cache: &str,
        [query, keys, stored, values]: [&[f64]; 4],
        out: &mut [f64],
    ) {
        let visible = keys.len() / (a.n_head_kv * a.head_dim).max(1);
        let hidden = a.window.map_or(0, |w| visible.saturating_sub(w));
        let shared = a.n_head / a.n_head_kv;
        let scale = a.softcap.map_or(a.scale, |cap| a.scale / cap);
        let scaled: Vec<f64> = query.iter().map(|&x| f64::from(x as f32 * scale)).collect();
        let mut rounded = scaled.clone();
        QUERY.round(&mut rounded);
        for (head, out) in out.chunks_mut(a.head_dim_v).enumerate() {
            let own = head * a.head_dim..(head + 1) * a.head_dim;
            let (q, unrounded) = (&rounded[own.clone()], &scaled[own]);
            let score = |p: usize| -> f64 {
                let at = (p * a.n_head_kv + head / shared) * a.head_dim;
                let blocks = q.chunks(BLOCK).zip(unrounded.chunks(BLOCK)).enumerate();
                let sum: f64 = blocks
                    .map(|(b, (q, unrounded))| {
                        let of = at + b * BLOCK..at + b * BLOCK + q.len();
                        let (key, before) = (&stored[of.clone()], &keys[of]);
                        let zero = zero(cache, before, key);
                        let above: f64 = key.iter().zip(q).map(|(k, q)| (k - zero) * q).sum();
                        above + zero * unrounded.iter().sum::<f64>()
                    })
                    .sum();
                a.softcap.map_or(sum, |cap| f64::from(cap) * sum.tanh())
            };
            let scores: Vec<f64> = (hidden..visible).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for (channel, out) in out.iter_mut().enumerate() {
                let value = |p: usize| values[(p * a.n_head_kv + head / shared) * a.head_dim_v + channel];
                *out = weights.iter().zip(hidden..).map(|(w, p)| w * value(p)).sum::<f64>() / total;
            }
        }
    }
}

impl Rule for CudaCache {
    fn id(&self) -> &'static str {
        self.id
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let of = if self.turned { TURN } else { BLOCK };
        let fits = |a: &Attention| {
            let kernel = !self.vector || (matches!(a.head_dim, 64 | 128 | 256) && a.head_dim == a.head_dim_v);
            kernel && a.head_dim.is_multiple_of(of) && a.head_dim_v.is_multiple_of(of)
        };
        // So coarse a cache nobody has without saying so.
        let told = at.is_llama_cuda() && at.cache().and_then(store).is_some();
        told && at.fused && matches!(&node.op, Op::Scores(a) | Op::Mix(a) if fits(a))
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let Some(a) = node.op.attention() else { return false };
        let few = at.columns.is_some_and(|n| n <= 2) && matches!(a.head_dim, 64 | 128 | 256);
        // Kernels that a build has by itself (`GGML_CUDA_FA_QUANTS`).
        let built = matches!(at.cache(), Some("q8_0" | "q4_0"));
        let turned = a.head_dim.is_multiple_of(TURN) && a.head_dim_v.is_multiple_of(TURN);
        self.vector == (few && built) && self.turned == turned
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
        let Some((cache, store)) = at.cache().and_then(|cache| Some((cache, store(cache)?))) else {
            return false;
        };
        let (mut query, mut keys, mut values) = (query.to_vec(), keys.to_vec(), values.to_vec());
        if self.turned {
            hadamard(&mut query, turn_of_keys(a));
            hadamard(&mut keys, turn_of_keys(a));
            hadamard(&mut values, TURN);
        }
        let mut stored = keys.clone();
        store(&mut stored);
        store(&mut values);
        if self.vector {
            Self::vector_kernel(a, cache, [&query, &keys, &stored, &values], out);
        } else if !F16FusedCuda.fused(a, at, &query, &stored, &values, out) {
            return false;
        }
        if self.turned {
            hadamard(out, TURN);
        }
        true
    }
    /// Divisions of a build with fast mathematics decide where a quotient lies on the middle between two steps: of a
    /// row's thousands of values that may move one, by a step, and a step of one value is about so much of a row.
    fn floor(&self, _: usize) -> Option<f64> {
        Some(2e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Header, Settings};

    const WIDTH: usize = 64;

    fn attention(softcap: Option<f32>) -> Attention {
        Attention {
            n_head: 4,
            n_head_kv: 2,
            head_dim: WIDTH,
            head_dim_v: WIDTH,
            scale: 0.125,
            window: None,
            softcap,
            cache_shift: 0,
        }
    }

    fn header(kv: &str) -> Header {
        let settings =
            Settings { arithmetic: Some("llama.cpp".into()), kv: Some(kv.into()), ..Settings::default() };
        Header { backend: "CUDA".into(), settings, ..Header::default() }
    }

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed * 2 + 1;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next() + next() + next()).collect()
    }

    fn half(x: f32) -> f32 {
        ::half::f16::from_f32(x).to_f32()
    }

    /// A block as the kernels hold it: integers, scale and minimum.
    struct Block {
        quanta: Vec<i32>,
        d: f32,
        m: f32,
    }

    /// The quantisers of `cpy-utils.cuh`, one branch after the other.
    fn block(kind: &str, x: &[f32]) -> Block {
        let amax = x.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let mut vmax = 0.0_f32;
        for &v in x {
            if vmax.abs() < v.abs() {
                vmax = v;
            }
        }
        let (low, high) =
            (x.iter().copied().fold(f32::MAX, f32::min), x.iter().copied().fold(f32::MIN, f32::max));
        let inverse = |d: f32| if d == 0.0 { 0.0 } else { 1.0 / d };
        match kind {
            "q8_0" => {
                let d = amax / 127.0;
                let quanta = x.iter().map(|v| (v * inverse(d)).round() as i32).collect();
                Block { quanta, d: half(d), m: 0.0 }
            }
            "q4_0" | "q5_0" => {
                let middle = if kind == "q4_0" { 8 } else { 16 };
                let d = vmax / -(middle as f32);
                let most = 2 * middle - 1;
                let quanta =
                    x.iter().map(|v| ((v * inverse(d) + middle as f32 + 0.5) as i32).min(most) - middle);
                Block { quanta: quanta.collect(), d: half(d), m: 0.0 }
            }
            _ => {
                let most = if kind == "q4_1" { 15 } else { 31 };
                let d = (high - low) / most as f32;
                let quanta = x.iter().map(|v| (((v - low) * inverse(d) + 0.5) as i32).min(most)).collect();
                Block { quanta, d: half(d), m: half(low) }
            }
        }
    }

    /// `vec_dot_fattn_vec_KQ_*` for one head: integer products four at a time, one f32 sum a lane, lanes added last.
    fn dot(kind: &str, key: &[Block], query: &[f32], scale: f32) -> f32 {
        let mut lanes = vec![0.0_f32; query.len() / 4];
        for (b, values) in query.chunks(32).enumerate() {
            let values: Vec<f32> = values.iter().map(|x| scale * x).collect();
            let amax = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            let sum: f32 = values.iter().sum();
            let d = amax / 127.0;
            let q: Vec<i32> =
                values.iter().map(|v| if d == 0.0 { 0 } else { (v / d).round() as i32 }).collect();
            let key = &key[b];
            for lane in 0..8 {
                let offset = match kind {
                    "q4_0" => 8,
                    "q5_0" => 16,
                    _ => 0,
                };
                let sumi: i32 = (4 * lane..4 * lane + 4).map(|i| (key.quanta[i] + offset) * q[i]).sum();
                lanes[b * 8 + lane] += match kind {
                    "q8_0" => key.d * (sumi as f32 * d),
                    "q4_0" => key.d * (sumi as f32 * d - sum),
                    "q5_0" => key.d * (sumi as f32 * d - 2.0 * sum),
                    _ => key.d * d * sumi as f32 + key.m * sum / 8.0,
                };
            }
        }
        lanes.iter().sum()
    }

    /// The vector kernel for one query, in f32 throughout; heads are not turned.
    fn kernel(kind: &str, a: &Attention, query: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
        let visible = keys.len() / (a.n_head_kv * WIDTH);
        let mut out = Vec::new();
        for head in 0..a.n_head {
            let q = &query[head * WIDTH..][..WIDTH];
            let of = |rows: &[f32], p: usize| -> Vec<Block> {
                let row = &rows[(p * a.n_head_kv + head / 2) * WIDTH..][..WIDTH];
                row.chunks(32).map(|x| block(kind, x)).collect()
            };
            let (mut largest, mut total) = (f32::MIN / 2.0, 0.0_f32);
            let mut sums = vec![0.0_f32; WIDTH];
            for p in 0..visible {
                let cap = a.softcap.unwrap_or(1.0);
                let mut score = dot(kind, &of(keys, p), q, a.scale / cap);
                if a.softcap.is_some() {
                    score = cap * score.tanh();
                }
                let new = largest.max(score + 3.0 * std::f32::consts::LN_2);
                let kept = (largest - new).exp();
                largest = new;
                let weight = (score - largest).exp();
                total = total * kept + weight;
                let value = of(values, p);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let block = &value[i / 32];
                    *sum = *sum * kept + (block.d * block.quanta[i % 32] as f32 + block.m) * weight;
                }
            }
            out.extend(sums.iter().map(|sum| sum / total));
        }
        out
    }

    fn off(ours: &[f64], theirs: &[f32]) -> f64 {
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
        norm(&mut ours.iter().zip(theirs).map(|(a, b)| a - f64::from(*b)))
            / norm(&mut theirs.iter().map(|b| f64::from(*b)))
    }

    fn wide(row: &[f32]) -> Vec<f64> {
        row.iter().map(|&x| x.into()).collect()
    }

    #[test]
    fn the_vector_kernel_is_what_its_source_says() {
        for kind in ["q8_0", "q4_0", "q5_0", "q4_1", "q5_1"] {
            for softcap in [None, Some(5.0)] {
                let (a, header) = (attention(softcap), header(kind));
                let at = Circumstance { weights: None, columns: Some(1), header: Some(&header), fused: true };
                let (q, k, v) =
                    (numbers(4 * WIDTH, 1), numbers(20 * 2 * WIDTH, 2), numbers(20 * 2 * WIDTH, 3));
                let mut out = vec![0.0; 4 * WIDTH];
                assert!(VECTOR.fused(&a, &at, &wide(&q), &wide(&k), &wide(&v), &mut out));
                // Sums of 64 products and of 20 positions in f32, and its exponential.
                let far = off(&out, &kernel(kind, &a, &q, &k, &v));
                assert!(far < 2e-6, "{kind} {softcap:?}: {far:e}");
                // What it is told from: the query as it is.
                let mut exact = vec![0.0; 4 * WIDTH];
                assert!(TENSOR.fused(&a, &at, &wide(&q), &wide(&k), &wide(&v), &mut exact));
            }
        }
    }

    #[test]
    fn turned_heads_are_turned_back() {
        let (a, header) = (attention(None), header("q8_0"));
        let at = Circumstance { weights: None, columns: Some(1), header: Some(&header), fused: true };
        let (q, k, v) = (numbers(4 * WIDTH, 4), numbers(9 * 2 * WIDTH, 5), numbers(9 * 2 * WIDTH, 6));
        let turn = |row: &[f32]| {
            let mut row = wide(row);
            hadamard(&mut row, WIDTH);
            row.iter().map(|&x| x as f32).collect::<Vec<f32>>()
        };
        let theirs = turn(&kernel("q8_0", &a, &turn(&q), &turn(&k), &turn(&v)));
        let (mut turned, mut plain) = (vec![0.0; 4 * WIDTH], vec![0.0; 4 * WIDTH]);
        assert!(VECTOR_TURNED.fused(&a, &at, &wide(&q), &wide(&k), &wide(&v), &mut turned));
        assert!(VECTOR.fused(&a, &at, &wide(&q), &wide(&k), &wide(&v), &mut plain));
        assert!(off(&turned, &theirs) < 2e-6, "{:e}", off(&turned, &theirs));
        // Q8_0's own rounding lies between the two.
        assert!(off(&plain, &theirs) > 1e-4);
    }

    #[test]
    fn tensor_cores_take_stored_rows_as_f16() {
        let (a, header) = (attention(None), header("q4_0"));
        let at = Circumstance { weights: None, columns: Some(9), header: Some(&header), fused: true };
        let (q, k, v) = (numbers(4 * WIDTH, 7), numbers(20 * 2 * WIDTH, 8), numbers(20 * 2 * WIDTH, 9));
        let widened = |rows: &[f32]| -> Vec<f64> {
            let blocks = rows.chunks(32).map(|x| block("q4_0", x));
            blocks.flat_map(|b| b.quanta.into_iter().map(move |q| f64::from(half(b.d * q as f32)))).collect()
        };
        let (mut ours, mut f16) = (vec![0.0; 4 * WIDTH], vec![0.0; 4 * WIDTH]);
        assert!(TENSOR.fused(&a, &at, &wide(&q), &wide(&k), &wide(&v), &mut ours));
        assert!(F16FusedCuda.fused(&a, &at, &wide(&q), &widened(&k), &widened(&v), &mut f16));
        assert_eq!(ours, f16);
    }
}
