//! The final norm's weight is not applied.

use super::Fault;
use crate::model::{Graph, Node, Site};

/// See the module.
pub struct FinalNormWeight;

impl Fault for FinalNormWeight {
    fn id(&self) -> &'static str {
        "final-norm-weight"
    }
    fn catalogue(&self) -> u8 {
        6
    }
    fn title(&self) -> &'static str {
        "the final norm is applied without its weight"
    }
    fn explain(&self) -> &'static str {
        "Every layer agrees; result_norm is off by a fixed factor per channel at every position, and \
         so are the logits. Seen where the last norm lives outside the layer loop and is wired by \
         hand (imp#1290)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_final = node.checkpoint.is_some_and(|c| c.site() == Site::ResultNorm);
        is_final && node.weight.take().is_some()
    }
}
