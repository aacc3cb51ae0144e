//! LayerNorm is computed where the model has RMSNorm.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct LayerNorm;

impl Fault for LayerNorm {
    fn id(&self) -> &'static str {
        "layer-norm"
    }
    fn catalogue(&self) -> u8 {
        30
    }
    fn title(&self) -> &'static str {
        "LayerNorm is computed where the model has RMSNorm"
    }
    fn explain(&self) -> &'static str {
        "The mean is subtracted first. Where a row's mean is near 0 the error is small."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::RmsNorm { eps, group } = node.op else { return false };
        let possible = group == node.width;
        if possible {
            node.op = Op::LayerNorm { eps };
        }
        possible
    }
}
