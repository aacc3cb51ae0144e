//! The final norm is left out.

use super::Fault;
use crate::model::{Graph, Node, Op, Site};

/// See the module.
pub struct FinalNormSkipped;

impl Fault for FinalNormSkipped {
    fn id(&self) -> &'static str {
        "final-norm-skipped"
    }
    fn catalogue(&self) -> u8 {
        25
    }
    fn title(&self) -> &'static str {
        "the final norm is left out"
    }
    fn explain(&self) -> &'static str {
        "result_norm is the last layer's output, bit for bit, and logits follow. If logits are right \
         all the same, it is only the instrument that logged the wrong value (logged-before-norm)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_final = node.checkpoint.is_some_and(|c| c.site() == Site::ResultNorm);
        if is_final {
            node.op = Op::Scale { factor: 1.0 };
            (node.weight, node.weight_type, node.bias) = (None, None, None);
        }
        is_final
    }
}
