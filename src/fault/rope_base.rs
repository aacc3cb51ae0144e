//! RoPE uses the wrong base frequency.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct RopeBase;

impl Fault for RopeBase {
    fn id(&self) -> &'static str {
        "rope-base"
    }
    fn catalogue(&self) -> u8 {
        3
    }
    fn title(&self) -> &'static str {
        "RoPE uses base 10,000 where the model has another (or 500,000 where it has 10,000)"
    }
    fn explain(&self) -> &'static str {
        "The base is a metadata key that is easily defaulted. From position 1 on every pair but the \
         first turns by the wrong angle; the error grows with the position."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::Rope(rope) = &mut node.op else { return false };
        rope.freq_base = if rope.freq_base == 10_000.0 { 500_000.0 } else { 10_000.0 };
        true
    }
}
