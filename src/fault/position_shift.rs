//! RoPE counts positions from 1.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct PositionShift;

impl Fault for PositionShift {
    fn id(&self) -> &'static str {
        "position-shift"
    }
    fn catalogue(&self) -> u8 {
        9
    }
    fn title(&self) -> &'static str {
        "RoPE counts positions from 1"
    }
    fn explain(&self) -> &'static str {
        "Query and key turn together, so attention and everything after it is right to the last bits: \
         only the two checkpoints after RoPE show it, and only where keys of two countings meet does \
         text suffer."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::Rope(rope) = &mut node.op else { return false };
        rope.position_shift = 1;
        true
    }
}
