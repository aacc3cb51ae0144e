//! The key's heads are in reverse order.

use super::Fault;
use crate::model::view::RowOrder;
use crate::model::{Graph, Node, Op, Site, View};

/// See the module.
pub struct HeadsPermuted;

impl Fault for HeadsPermuted {
    fn id(&self) -> &'static str {
        "heads-permuted"
    }
    fn catalogue(&self) -> u8 {
        11
    }
    fn title(&self) -> &'static str {
        "the key's heads are in reverse order"
    }
    fn explain(&self) -> &'static str {
        "A converter or a kernel lays heads out in another order: each head of the key is another's, \
         every norm over all heads is equal (transformers#31788)."
    }
    fn apply(&self, node: &mut Node, right: &Graph) -> bool {
        let is_key = node.checkpoint.is_some_and(|c| matches!(c.site(), Site::Kcur | Site::KcurMm));
        let dim = right.attention().map_or(0, |a| a.head_dim);
        let possible = is_key && matches!(node.op, Op::MatMul) && dim > 0 && node.width > dim;
        if possible {
            node.departure.views.push(View::Rows(RowOrder::HeadsReversed(dim)));
        }
        possible
    }
}
