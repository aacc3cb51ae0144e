//! The down projection reads the activation of the position before.

use super::Fault;
use crate::model::{Graph, Node, Site};

/// See the module.
pub struct StaleInput;

impl Fault for StaleInput {
    fn id(&self) -> &'static str {
        "stale-input"
    }
    fn catalogue(&self) -> u8 {
        17
    }
    fn title(&self) -> &'static str {
        "the down projection reads the activation of the position before"
    }
    fn explain(&self) -> &'static str {
        "A buffer that is read before it is written, or a missing synchronisation: the result belongs \
         to the token before. Position 0 is clean."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = node.checkpoint.is_some_and(|c| c.site() == Site::FfnOut);
        if made {
            node.departure.lag = 1;
        }
        made
    }
}
