//! Norm weights are taken for offsets: 1 is added to them.

use super::Fault;
use crate::model::view::ValueChange;
use crate::model::{Graph, Node, Op, View};

/// See the module.
pub struct NormOffset;

impl Fault for NormOffset {
    fn id(&self) -> &'static str {
        "norm-offset"
    }
    fn catalogue(&self) -> u8 {
        6
    }
    fn title(&self) -> &'static str {
        "norm weights are taken for offsets: 1 is added to them"
    }
    fn explain(&self) -> &'static str {
        "Some checkpoints (Gemma) store a norm's weight minus 1. An engine that adds the 1 to weights \
         that have it already, or to another model's, scales every norm wrongly, channel by channel \
         (imp#1289)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_norm = matches!(node.op, Op::RmsNorm { .. } | Op::LayerNorm { .. }) && node.weight.is_some();
        if is_norm {
            node.departure.views.push(View::Values(ValueChange::Raised(1.0)));
        }
        is_norm
    }
}
