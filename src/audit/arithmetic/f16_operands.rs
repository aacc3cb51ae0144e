//! Activations are rounded to f16; attention multiplies f16 with f16. What llama.cpp does on the CPU
//! with F16 weights and an f16 cache, on CUDA in small batches.

use super::{Circumstance, Rule, is_product, to_f16};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// See the module.
pub struct F16Operands;

impl Rule for F16Operands {
    fn id(&self) -> &'static str {
        "f16"
    }
    fn title(&self) -> &'static str {
        "f16 operands"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, _: &Circumstance<'_>) -> bool {
        is_product(node)
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let llama = at.is_llama_cpu() || at.is_llama_cuda();
        match node.op {
            Op::MatMul => llama && at.weights == Some(WeightType::F16),
            _ => llama && at.cache() == Some("f16") && !at.fused,
        }
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = to_f16(*x);
        }
    }
}
