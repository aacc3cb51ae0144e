//! Rows of query and key are permuted for the other RoPE pairing.

use super::Fault;
use crate::model::view::RowOrder;
use crate::model::{Graph, Node, Op, Site, View};

/// See the module.
pub struct RowsPermuted;

impl Fault for RowsPermuted {
    fn id(&self) -> &'static str {
        "rows-permuted"
    }
    fn catalogue(&self) -> u8 {
        11
    }
    fn title(&self) -> &'static str {
        "rows of query and key are permuted for the other RoPE pairing"
    }
    fn explain(&self) -> &'static str {
        "Converters permute these two matrices for one architecture; done for another, or twice, the \
         rows of every head are out of order. Every norm is equal, position 0 shows it \
         (transformers#31788)."
    }
    fn apply(&self, node: &mut Node, right: &Graph) -> bool {
        let sites = [Site::Qcur, Site::QcurMm, Site::Kcur, Site::KcurMm];
        let is_meant = node.checkpoint.is_some_and(|c| sites.contains(&c.site()));
        let dim = right.attention().map_or(0, |a| a.head_dim);
        let possible = is_meant && matches!(node.op, Op::MatMul) && dim > 1;
        if possible {
            node.departure.views.push(View::Rows(RowOrder::Halved(dim)));
        }
        possible
    }
}
