//! Activations are rounded to bf16: llama.cpp with BF16 weights, and engines that compute in bf16.

use super::{Circumstance, Rule, is_product, to_bf16};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// See the module.
pub struct Bf16Operands;

impl Rule for Bf16Operands {
    fn id(&self) -> &'static str {
        "bf16"
    }
    fn title(&self) -> &'static str {
        "bf16 operands"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, _: &Circumstance<'_>) -> bool {
        is_product(node)
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let llama = at.is_llama_cpu();
        match node.op {
            Op::MatMul => llama && at.weights == Some(WeightType::Bf16),
            _ => llama && at.cache() == Some("bf16"),
        }
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = to_bf16(*x);
        }
    }
}
