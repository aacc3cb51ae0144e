//! The causal mask hides the position itself.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct MaskShifted;

impl Fault for MaskShifted {
    fn id(&self) -> &'static str {
        "mask-shifted"
    }
    fn catalogue(&self) -> u8 {
        20
    }
    fn title(&self) -> &'static str {
        "the causal mask hides the position itself"
    }
    fn explain(&self) -> &'static str {
        "The mask is shifted by one: a token sees only those before it. Position 0, which has nothing \
         else, is clean."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::SoftMax(_));
        if made {
            node.departure.hidden = 1;
        }
        made
    }
}
