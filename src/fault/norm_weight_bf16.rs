//! Norm weights are rounded to bf16.

use super::Fault;
use crate::model::view::ValueChange;
use crate::model::{Graph, Node, Op, View};

/// See the module.
pub struct NormWeightBf16;

impl Fault for NormWeightBf16 {
    fn id(&self) -> &'static str {
        "norm-weight-bf16"
    }
    fn catalogue(&self) -> u8 {
        6
    }
    fn title(&self) -> &'static str {
        "norm weights are rounded to bf16"
    }
    fn explain(&self) -> &'static str {
        "A converter that stores everything in one type rounds vectors that every reference keeps as \
         f32. Relative errors up to 2⁻⁹ per channel, the same at every position; the logits of a \
         quantised model hide it."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_norm = matches!(node.op, Op::RmsNorm { .. } | Op::LayerNorm { .. }) && node.weight.is_some();
        if is_norm {
            node.departure.views.push(View::Values(ValueChange::Bf16));
        }
        is_norm
    }
}
