//! Attention scores are scaled by the wrong factor.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct AttentionScale;

impl Fault for AttentionScale {
    fn id(&self) -> &'static str {
        "attention-scale"
    }
    fn catalogue(&self) -> u8 {
        21
    }
    fn title(&self) -> &'static str {
        "scores are divided by √(all heads' width) instead of √(one head's)"
    }
    fn explain(&self) -> &'static str {
        "Probabilities come out too flat. Position 0, which sees only itself, is clean; from position \
         1 on kq_soft_max is wrong while the scores before it are right."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::SoftMax(a) = &mut node.op else { return false };
        a.scale /= (a.n_head as f32).sqrt();
        a.n_head > 1
    }
}
