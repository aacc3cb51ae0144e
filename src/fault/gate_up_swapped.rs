//! Gate and up change places before the activation.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct GateUpSwapped;

impl Fault for GateUpSwapped {
    fn id(&self) -> &'static str {
        "gate-up-swapped"
    }
    fn catalogue(&self) -> u8 {
        22
    }
    fn title(&self) -> &'static str {
        "gate and up change places before the activation"
    }
    fn explain(&self) -> &'static str {
        "The activation is applied to the wrong one of the two. Both projections are right, their \
         product is not."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let possible = matches!(node.op, Op::SwiGlu | Op::Gelu) && node.inputs.len() == 2;
        if possible {
            node.inputs.swap(0, 1);
        }
        possible
    }
}
