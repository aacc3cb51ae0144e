//! Q4_K and Q5_K on CUDA with 9 and more columns: Q8_1 activations with f16 scales, the weights' scales
//! and minima as f16, and the minima meet the f16 sum of the *unrounded* activations.

use super::blocks::{Blocks, Scale, either};
use super::{Circumstance, Part, Rule, Tie, minima, to_f16};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

const BLOCKS: Blocks = Blocks { len: 32, multiplies: true, half_to_even: false, scale: Scale::Half };

/// What the order of an f32 sum of 32 (three additions in a thread, then three steps between threads) may
/// change, as a share of Σ|terms|: half a unit for each of six roundings.
const ORDER: f64 = 6.0 * f32::EPSILON as f64 / 2.0;

/// See the module.
pub struct Q8_1Sums;

impl Rule for Q8_1Sums {
    fn id(&self) -> &'static str {
        "q8_1-cuda-ds4"
    }
    fn title(&self) -> &'static str {
        "Q8_1 activations, unrounded sums, as llama.cpp on CUDA"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::MatMul) && at.weights.is_some_and(minima::has_factor) && !at.is_llama_cpu()
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        let k = matches!(at.weights, Some(WeightType::Q4K | WeightType::Q5K));
        at.is_llama_cuda() && k && at.columns.is_some_and(|n| n > 8)
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        BLOCKS.round(row);
    }
    fn sums(&self, row: &[f64]) -> Option<Vec<f64>> {
        let mut out = row.to_vec();
        for block in out.chunks_mut(BLOCKS.len) {
            let share = to_f16(block.iter().sum()) / block.len() as f64;
            block.fill(share);
        }
        Some(out)
    }
    fn split(&self, kind: WeightType, bytes: &[u8], row: &mut [f32], least: &mut [f32]) {
        let mut scales = vec![0.0; row.len()];
        if !minima::minima(kind, bytes, least) || !minima::scales(kind, bytes, &mut scales) {
            return;
        }
        for ((w, m), scale) in row.iter_mut().zip(least).zip(scales) {
            let quantum = if scale == 0.0 { 0.0 } else { ((*w - *m) / scale).round() };
            *w = quantum * ::half::f16::from_f32(scale).to_f32();
            *m = ::half::f16::from_f32(*m).to_f32();
        }
    }
    fn ties(&self, row: &[f64]) -> Vec<Tie> {
        let mut ties = BLOCKS.ties(row);
        for (i, block) in row.chunks(BLOCKS.len).enumerate() {
            let sum: f64 = block.iter().sum();
            let terms: f64 = block.iter().map(|x| x.abs()).sum();
            let rounded = to_f16(sum);
            if let Some(other) = either(rounded, sum, ORDER * terms) {
                let steps = vec![(other - rounded) / block.len() as f64; block.len()];
                ties.push(Tie { part: Part::Sums, first: i * BLOCKS.len, steps });
            }
        }
        ties
    }
}
