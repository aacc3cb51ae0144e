//! Sums kept in f16 whose order is the library's own: cuBLAS with an f16 compute type and f16 output, where it
//! splits long sums between blocks. What [`super::f16_groups`] does not explain is held to a wide floor.

use super::{Circumstance, Rule, is_product, to_f16};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// See the module.
pub struct F16Accumulator;

impl Rule for F16Accumulator {
    fn id(&self) -> &'static str {
        "f16-sums"
    }
    fn title(&self) -> &'static str {
        "f16 operands and sums in any order, as cuBLAS"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        is_product(node) && !at.is_llama_cpu() && at.weights.is_none_or(|w| w == WeightType::F16)
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cuda() && at.columns.is_some_and(|n| n > 16) && matches!(node.op, Op::MatMul)
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = to_f16(*x);
        }
    }
    /// Against unrounded sums of f16 products; measured on one H200 (K up to 1536): 1.1e-3 at worst.
    fn floor(&self, _: usize) -> Option<f64> {
        Some(2e-3)
    }
    fn admits(&self, recorded: &[f32]) -> bool {
        super::are_f16(recorded)
    }
}
