//! Scores are scaled twice.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct ScaleTwice;

impl Fault for ScaleTwice {
    fn id(&self) -> &'static str {
        "scale-twice"
    }
    fn catalogue(&self) -> u8 {
        21
    }
    fn title(&self) -> &'static str {
        "scores are scaled twice"
    }
    fn explain(&self) -> &'static str {
        "Once with the query and once in the softmax. Probabilities come out far too flat from \
         position 1 on."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::SoftMax(a) = &mut node.op else { return false };
        a.scale /= (a.head_dim as f32).sqrt();
        true
    }
}
