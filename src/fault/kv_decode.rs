//! From position 8 on, keys and values are stored one position too early.

use super::FIRST_DECODED;
use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct KvDecode;

impl Fault for KvDecode {
    fn id(&self) -> &'static str {
        "kv-decode"
    }
    fn catalogue(&self) -> u8 {
        9
    }
    fn title(&self) -> &'static str {
        "from position 8 on, keys and values are stored one position too early"
    }
    fn explain(&self) -> &'static str {
        "As kv-off-by-one, in decoding only, as after a prompt of eight tokens: the whole prompt is \
         clean and the first decoded token is wrong (mlx-vlm#1983)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let (Op::Scores(a) | Op::Mix(a)) = &mut node.op else { return false };
        a.cache_shift = -1;
        node.departure.from = FIRST_DECODED;
        true
    }
}
