//! Scores are accumulated in f16.

use super::Fault;
use crate::model::departure::Precision;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct KqF16;

impl Fault for KqF16 {
    fn id(&self) -> &'static str {
        "kq-f16"
    }
    fn catalogue(&self) -> u8 {
        8
    }
    fn title(&self) -> &'static str {
        "scores are accumulated in f16"
    }
    fn explain(&self) -> &'static str {
        "Query times key exceeds 65504 in some models (Phi-2, Qwen2): infinite, then NaN after the \
         softmax, in one head first, and text such as GGGG. Where scores stay small only the rounding \
         shows (llama.cpp#7805, #8412)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::Scores(_));
        if made {
            node.departure.precision = Precision::F16;
        }
        made
    }
}
