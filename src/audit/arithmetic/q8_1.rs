//! Activations as Q8_1 on the CPU: blocks of 32 with an f16 scale, and the sum of each block, which
//! meets the weights' minimum, as f16. llama.cpp on the CPU with Q4_1 and Q5_1 weights.

use super::blocks::{Blocks, Scale};
use super::{Circumstance, Rule, Tie, to_f16};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// `quantize_row_q8_1` of ggml.
pub const BLOCKS: Blocks = Blocks { len: 32, multiplies: true, half_to_even: true, scale: Scale::Half };
/// The same with the scale that the sums are made with.
const UNROUNDED: Blocks = Blocks { scale: Scale::Full, ..BLOCKS };

/// See the module.
pub struct Q8_1;

/// What takes each value's place beside a minimum: its share of its block's sum.
pub fn sums(row: &[f64]) -> Vec<f64> {
    let mut out = row.to_vec();
    UNROUNDED.round(&mut out);
    for block in out.chunks_mut(BLOCKS.len) {
        let share = to_f16(block.iter().sum()) / block.len() as f64;
        block.fill(share);
    }
    out
}

impl Rule for Q8_1 {
    fn id(&self) -> &'static str {
        "q8_1"
    }
    fn title(&self) -> &'static str {
        "Q8_1 activations, as llama.cpp on the CPU"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::MatMul) && matches!(at.weights, Some(WeightType::Q4_1 | WeightType::Q5_1))
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu() && matches!(at.weights, Some(WeightType::Q4_1 | WeightType::Q5_1))
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        BLOCKS.round(row);
    }
    fn sums(&self, row: &[f64]) -> Option<Vec<f64>> {
        Some(sums(row))
    }
    fn ties(&self, row: &[f64]) -> Vec<Tie> {
        BLOCKS.ties(row)
    }
}
