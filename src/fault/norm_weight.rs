//! Norms inside the layers are applied without their weight.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct NormWeight;

impl Fault for NormWeight {
    fn id(&self) -> &'static str {
        "norm-weight"
    }
    fn catalogue(&self) -> u8 {
        6
    }
    fn title(&self) -> &'static str {
        "norms inside the layers are applied without their weight"
    }
    fn explain(&self) -> &'static str {
        "The row is normalised and nothing more: off by a fixed factor per channel at every position, \
         first in attn_norm-0 (imp#1290)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_norm = matches!(node.op, Op::RmsNorm { .. } | Op::LayerNorm { .. });
        is_norm && node.checkpoint.is_some_and(|c| c.layer_index().is_some()) && node.weight.take().is_some()
    }
}
