//! The feed-forward block uses the wrong activation.

use super::Fault;
use crate::model::departure::Activation;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct FfnActivation;

impl Fault for FfnActivation {
    fn id(&self) -> &'static str {
        "ffn-activation"
    }
    fn catalogue(&self) -> u8 {
        22
    }
    fn title(&self) -> &'static str {
        "the gate goes through GELU instead of SiLU"
    }
    fn explain(&self) -> &'static str {
        "Both look alike on a plot and share their asymptotes; gate and up are right, their product \
         is not, from position 0 on."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let wrong = matches!(node.op, Op::SwiGlu);
        if wrong {
            node.departure.activation = Some(Activation::Gelu);
        }
        wrong
    }
}
