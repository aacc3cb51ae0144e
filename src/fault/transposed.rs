//! A weight is read as its transpose.

use super::Fault;
use crate::model::{Graph, Node, Op, Site, View};

/// See the module.
pub struct Transposed;

impl Fault for Transposed {
    fn id(&self) -> &'static str {
        "transposed"
    }
    fn catalogue(&self) -> u8 {
        12
    }
    fn title(&self) -> &'static str {
        "the output projection of attention is read as its transpose"
    }
    fn explain(&self) -> &'static str {
        "A square matrix has the same shape either way, so nothing complains. The first product that \
         uses it is wrong from position 0 on (nntile#370, AutoGPTQ#139)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_meant = node.checkpoint.is_some_and(|c| c.site() == Site::AttnOut);
        if is_meant && matches!(node.op, Op::MatMul) {
            node.departure.views.push(View::Transposed);
            return true;
        }
        false
    }
}
