//! RoPE turns only the first half of each head.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct RopeWidth;

impl Fault for RopeWidth {
    fn id(&self) -> &'static str {
        "rope-width"
    }
    fn catalogue(&self) -> u8 {
        3
    }
    fn title(&self) -> &'static str {
        "RoPE turns only the first half of each head"
    }
    fn explain(&self) -> &'static str {
        "Models with partial rotation name the number of rotated elements in a key; an engine that \
         takes another model's number leaves elements unturned and gives the others the wrong \
         frequencies. From position 1 on, query and key differ after RoPE."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::Rope(rope) = &mut node.op else { return false };
        let half = rope.n_rot / 4 * 2;
        let possible = half > 0 && rope.factors.is_none();
        if possible {
            rope.n_rot = half;
        }
        possible
    }
}
