//! Norms compute and return bf16.

use super::Fault;
use crate::model::departure::Precision;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct NormBf16;

impl Fault for NormBf16 {
    fn id(&self) -> &'static str {
        "norm-bf16"
    }
    fn catalogue(&self) -> u8 {
        19
    }
    fn title(&self) -> &'static str {
        "norms compute and return bf16"
    }
    fn explain(&self) -> &'static str {
        "A fused kernel that keeps its result in bf16 where every reference keeps f32: errors of 2⁻⁹ \
         that grow smoothly with depth (sglang#27540)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::RmsNorm { .. } | Op::LayerNorm { .. });
        if made {
            node.departure.precision = Precision::Bf16;
        }
        made
    }
}
