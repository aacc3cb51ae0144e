//! The residual is not added after the feed-forward block.

use super::Fault;
use crate::model::{Graph, Node, Op, Site};

/// See the module.
pub struct ResidualMissing;

impl Fault for ResidualMissing {
    fn id(&self) -> &'static str {
        "residual-missing"
    }
    fn catalogue(&self) -> u8 {
        26
    }
    fn title(&self) -> &'static str {
        "the residual is not added after the feed-forward block"
    }
    fn explain(&self) -> &'static str {
        "l_out is ffn_out alone: everything that the stream carried is lost from there on."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_meant = node.checkpoint.is_some_and(|c| c.site() == Site::LOut);
        let possible = is_meant && matches!(node.op, Op::Add);
        if possible {
            node.op = Op::Scale { factor: 1.0 };
            node.inputs.truncate(1);
        }
        possible
    }
}
