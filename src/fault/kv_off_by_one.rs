//! Keys and values are written one slot too early.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct KvOffByOne;

impl Fault for KvOffByOne {
    fn id(&self) -> &'static str {
        "kv-off-by-one"
    }
    fn catalogue(&self) -> u8 {
        9
    }
    fn title(&self) -> &'static str {
        "keys and values are stored one position too early"
    }
    fn explain(&self) -> &'static str {
        "The cache index is taken before it is advanced: each token overwrites the one before and \
         attends to an empty slot. Queries, keys and values are right, position 0 is clean, attention \
         is wrong from position 1 on (onnxruntime-genai#2354, tiny-llm#46)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let (Op::Scores(a) | Op::Mix(a)) = &mut node.op else { return false };
        a.cache_shift = -1;
        true
    }
}
