//! The down projection's buffer is read column by column.

use super::Fault;
use crate::model::{Graph, Node, Op, Site, View};

/// See the module.
pub struct FfnTransposed;

impl Fault for FfnTransposed {
    fn id(&self) -> &'static str {
        "ffn-transposed"
    }
    fn catalogue(&self) -> u8 {
        12
    }
    fn title(&self) -> &'static str {
        "the down projection's buffer is read column by column"
    }
    fn explain(&self) -> &'static str {
        "A matrix that is not square, read with the wrong leading dimension: every value is a weight, \
         but another one (eight cuBLAS calls of worker-orcd)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_meant = node.checkpoint.is_some_and(|c| c.site() == Site::FfnOut);
        if is_meant && matches!(node.op, Op::MatMul) {
            node.departure.views.push(View::Transposed);
            return true;
        }
        false
    }
}
