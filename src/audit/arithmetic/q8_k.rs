//! Activations as Q8_K: blocks of 256 with an f32 scale. llama.cpp on the CPU with K-quants.

use super::blocks::{Blocks, Scale};
use super::{Circumstance, Rule, Tie, is_k_quant, is_quantised};
use crate::model::{Node, Op};

/// `quantize_row_q8_K` of ggml.
const BLOCKS: Blocks = Blocks { len: 256, multiplies: true, half_to_even: true, scale: Scale::Inverse };

/// See the module.
pub struct Q8K;

impl Rule for Q8K {
    fn id(&self) -> &'static str {
        "q8_k"
    }
    fn title(&self) -> &'static str {
        "Q8_K activations, as llama.cpp on the CPU"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::MatMul) && is_quantised(at.weights)
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu() && is_k_quant(at.weights)
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        BLOCKS.round(row);
    }
    fn ties(&self, row: &[f64]) -> Vec<Tie> {
        BLOCKS.ties(row)
    }
}
