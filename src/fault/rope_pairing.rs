//! RoPE rotates the wrong pairs of elements.

use super::Fault;
use crate::model::graph::Pairing;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct RopePairing;

impl Fault for RopePairing {
    fn id(&self) -> &'static str {
        "rope-pairing"
    }
    fn catalogue(&self) -> u8 {
        1
    }
    fn title(&self) -> &'static str {
        "RoPE pairs neighbours where the model pairs halves, or the reverse"
    }
    fn explain(&self) -> &'static str {
        "Checkpoints come in two conventions, NORM (2i, 2i+1) and NEOX (i, i + n/2), and converters \
         permute one into the other. Position 0 is clean, every norm stays equal, query and key \
         differ after RoPE from position 1 on (llama.cpp#13260, ik_llama.cpp#2290)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::Rope(rope) = &mut node.op else { return false };
        rope.pairing = match rope.pairing {
            Pairing::Norm => Pairing::Neox,
            Pairing::Neox => Pairing::Norm,
        };
        true
    }
}
