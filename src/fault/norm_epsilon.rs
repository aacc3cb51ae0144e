//! A norm adds the wrong epsilon.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct NormEpsilon;

impl Fault for NormEpsilon {
    fn id(&self) -> &'static str {
        "norm-epsilon"
    }
    fn catalogue(&self) -> u8 {
        5
    }
    fn title(&self) -> &'static str {
        "norms add 1e-6 where the model says 1e-5 (or 1e-5 where it says otherwise)"
    }
    fn explain(&self) -> &'static str {
        "The output is off by a factor close to 1, further where the row's norm is small; in a \
         quantised model the logits hide it under rounding, the first norm does not (llama.cpp#2373)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let (Op::RmsNorm { eps, .. } | Op::LayerNorm { eps }) = &mut node.op else { return false };
        *eps = if *eps == 1e-5 { 1e-6 } else { 1e-5 };
        true
    }
}
