//! RoPE turns the query by the next position's angle.

use super::Fault;
use crate::model::{Graph, Node, Op, Site};

/// See the module.
pub struct QueryPosition;

impl Fault for QueryPosition {
    fn id(&self) -> &'static str {
        "query-position"
    }
    fn catalogue(&self) -> u8 {
        9
    }
    fn title(&self) -> &'static str {
        "RoPE turns the query by the next position's angle"
    }
    fn explain(&self) -> &'static str {
        "The position is advanced between query and key. Keys are right, the query differs after \
         RoPE, scores follow."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let is_query = node.checkpoint.is_some_and(|c| c.site() == Site::QcurRope);
        match &mut node.op {
            Op::Rope(rope) if is_query => {
                rope.position_shift = 1;
                true
            }
            _ => false,
        }
    }
}
