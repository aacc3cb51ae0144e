//! RoPE is applied twice.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct RopeTwice;

impl Fault for RopeTwice {
    fn id(&self) -> &'static str {
        "rope-twice"
    }
    fn catalogue(&self) -> u8 {
        9
    }
    fn title(&self) -> &'static str {
        "RoPE is applied twice"
    }
    fn explain(&self) -> &'static str {
        "By the model and again by the attention kernel: angles are doubled. Position 0 is clean, \
         norms stay equal."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::Rope(_));
        if made {
            node.departure.repeated = true;
        }
        made
    }
}
