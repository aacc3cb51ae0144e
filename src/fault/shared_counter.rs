//! A position counter shared by all layers is advanced by layer 0.

use super::FIRST_DECODED;
use super::Fault;
use crate::model::Checkpoint;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct SharedCounter;

impl Fault for SharedCounter {
    fn id(&self) -> &'static str {
        "shared-counter"
    }
    fn catalogue(&self) -> u8 {
        10
    }
    fn title(&self) -> &'static str {
        "a position counter shared by all layers is advanced by layer 0"
    }
    fn explain(&self) -> &'static str {
        "From position 8 on (as if decoding began there) every layer but the first turns by the next \
         position's angle: prompts are clean, layer 0 is always clean (flash-linear-attention#766)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let later = node.checkpoint.and_then(Checkpoint::layer_index).is_some_and(|l| l > 0);
        match &mut node.op {
            Op::Rope(rope) if later => {
                rope.position_shift = 1;
                node.departure.from = FIRST_DECODED;
                true
            }
            _ => false,
        }
    }
}
