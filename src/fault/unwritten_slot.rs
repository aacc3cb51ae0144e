//! Keys and values of position 3 are never written to the cache.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct UnwrittenSlot;

impl Fault for UnwrittenSlot {
    fn id(&self) -> &'static str {
        "unwritten-slot"
    }
    fn catalogue(&self) -> u8 {
        17
    }
    fn title(&self) -> &'static str {
        "keys and values of position 3 are never written to the cache"
    }
    fn explain(&self) -> &'static str {
        "Whoever attends to that position reads what the buffer held before: nothing, or an earlier \
         sequence (llama.cpp#3523, vllm#641). Queries, keys and values are right, attention is wrong \
         from position 3 on."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::Scores(_) | Op::Mix(_));
        if made {
            node.departure.unwritten = Some(3);
        }
        made
    }
}
