//! GELU is computed by the error function, not by its tanh approximation.

use super::Fault;
use crate::model::departure::Activation;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct GeluErf;

impl Fault for GeluErf {
    fn id(&self) -> &'static str {
        "gelu-erf"
    }
    fn catalogue(&self) -> u8 {
        22
    }
    fn title(&self) -> &'static str {
        "GELU is computed by the error function, not by its tanh approximation"
    }
    fn explain(&self) -> &'static str {
        "The two differ by 5e-4 at most. Free-running logits show 2e-4, less than llama.cpp's own \
         table of f16 values makes; only the node itself tells."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let wrong = matches!(node.op, Op::Gelu);
        if wrong {
            node.departure.activation = Some(Activation::GeluErf);
        }
        wrong
    }
}
