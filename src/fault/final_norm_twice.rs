//! The final norm is applied twice.

use super::Fault;
use crate::model::{Graph, Node, Site};

/// See the module.
pub struct FinalNormTwice;

impl Fault for FinalNormTwice {
    fn id(&self) -> &'static str {
        "final-norm-twice"
    }
    fn catalogue(&self) -> u8 {
        25
    }
    fn title(&self) -> &'static str {
        "the final norm is applied twice"
    }
    fn explain(&self) -> &'static str {
        "Once inside the model and once by whoever calls it: each channel is off by the weight once \
         more."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_final = node.checkpoint.is_some_and(|c| c.site() == Site::ResultNorm);
        if is_final {
            node.departure.repeated = true;
        }
        is_final
    }
}
