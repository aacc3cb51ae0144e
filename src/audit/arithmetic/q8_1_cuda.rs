//! Activations as Q8_1 on CUDA: blocks of 32, quotients rounded away from zero. The matrix-vector
//! kernels (1 to 8 columns) keep the scale as f16, the matrix-matrix kernels (9 and more) as f32.

use super::blocks::{Blocks, Scale};
use super::{Circumstance, Rule, Tie, is_quantised};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// See the module.
pub struct CudaQ8_1 {
    id: &'static str,
    title: &'static str,
    blocks: Blocks,
    columns: fn(Option<u32>, Option<WeightType>) -> bool,
}

/// 1 to 8 columns.
pub static HALF_SCALE: CudaQ8_1 = CudaQ8_1 {
    id: "q8_1-cuda",
    title: "Q8_1 activations, f16 scale, as llama.cpp on CUDA",
    blocks: Blocks { len: 32, multiplies: false, half_to_even: false, scale: Scale::Half },
    columns: |columns, _| columns.is_none_or(|n| n <= 8),
};

/// 9 and more columns.
pub static FULL_SCALE: CudaQ8_1 = CudaQ8_1 {
    id: "q8_1-cuda-d4",
    title: "Q8_1 activations, f32 scale, as llama.cpp on CUDA",
    blocks: Blocks { len: 32, multiplies: true, half_to_even: false, scale: Scale::Inverse },
    columns: |columns, weights| {
        columns.is_some_and(|n| n > 8) && !matches!(weights, Some(WeightType::Q4K | WeightType::Q5K))
    },
};

impl Rule for CudaQ8_1 {
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
        matches!(node.op, Op::MatMul) && is_quantised(at.weights)
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cuda() && (self.columns)(at.columns, at.weights)
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        self.blocks.round(row);
    }
    fn ties(&self, row: &[f64]) -> Vec<Tie> {
        self.blocks.ties(row)
    }
}
