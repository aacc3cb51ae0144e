//! RoPE's frequency factors are ignored.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct RopeFactors;

impl Fault for RopeFactors {
    fn id(&self) -> &'static str {
        "rope-factors"
    }
    fn catalogue(&self) -> u8 {
        2
    }
    fn title(&self) -> &'static str {
        "RoPE's frequency factors are ignored"
    }
    fn explain(&self) -> &'static str {
        "Llama 3.1 and later carry a tensor of divisors that stretches the low frequencies, Phi-3 one \
         for short and one for long contexts. Without it the error is small, grows with the position \
         and touches the low-frequency pairs only (llama.cpp#8676)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::Rope(rope) = &mut node.op else { return false };
        rope.factors.take().is_some()
    }
}
