//! Activations as Q8_0: blocks of 32 with an f16 scale. llama.cpp on the CPU with Q8_0, Q4_0, Q5_0,
//! IQ4_NL and MXFP4 weights.

use super::blocks::{Blocks, Scale};
use super::{Circumstance, Rule, Tie, is_quantised};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// `quantize_row_q8_0` of ggml.
pub const BLOCKS: Blocks = Blocks { len: 32, multiplies: true, half_to_even: true, scale: Scale::Half };

/// See the module.
pub struct Q8_0;

impl Rule for Q8_0 {
    fn id(&self) -> &'static str {
        "q8_0"
    }
    fn title(&self) -> &'static str {
        "Q8_0 activations, as llama.cpp on the CPU"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::MatMul) && is_quantised(at.weights)
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        use WeightType::{Iq4Nl, Mxfp4, Q4_0, Q5_0, Q8_0};
        at.is_llama_cpu() && matches!(at.weights, Some(Q8_0 | Q4_0 | Q5_0 | Iq4Nl | Mxfp4))
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        BLOCKS.round(row);
    }
    fn ties(&self, row: &[f64]) -> Vec<Tie> {
        BLOCKS.ties(row)
    }
}
