//! SiLU is computed where the model has GELU.

use super::Fault;
use crate::model::departure::Activation;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct GeluSilu;

impl Fault for GeluSilu {
    fn id(&self) -> &'static str {
        "gelu-silu"
    }
    fn catalogue(&self) -> u8 {
        22
    }
    fn title(&self) -> &'static str {
        "SiLU is computed where the model has GELU"
    }
    fn explain(&self) -> &'static str {
        "The other way round from ffn-activation: the activation node alone is wrong, from position 0 \
         on."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let wrong = matches!(node.op, Op::Gelu);
        if wrong {
            node.departure.activation = Some(Activation::Silu);
        }
        wrong
    }
}
