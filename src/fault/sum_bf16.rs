//! The down projection accumulates in bf16.

use super::Fault;
use crate::model::departure::Precision;
use crate::model::{Graph, Node, Site};

/// See the module.
pub struct SumBf16;

impl Fault for SumBf16 {
    fn id(&self) -> &'static str {
        "sum-bf16"
    }
    fn catalogue(&self) -> u8 {
        19
    }
    fn title(&self) -> &'static str {
        "the down projection accumulates in bf16"
    }
    fn explain(&self) -> &'static str {
        "Products are summed in the type of the operands: after a few hundred terms additions stand \
         still. Errors of some per cent in one product, the rest follows."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = node.checkpoint.is_some_and(|c| c.site() == Site::FfnOut);
        if made {
            node.departure.precision = Precision::Bf16;
        }
        made
    }
}
