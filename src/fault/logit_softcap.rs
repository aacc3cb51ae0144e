//! Logits are not capped.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct LogitSoftcap;

impl Fault for LogitSoftcap {
    fn id(&self) -> &'static str {
        "logit-softcap"
    }
    fn catalogue(&self) -> u8 {
        15
    }
    fn title(&self) -> &'static str {
        "logits are not capped"
    }
    fn explain(&self) -> &'static str {
        "Gemma 2 caps logits with 30 · tanh(x / 30). The order of tokens stays, their probabilities \
         do not (vllm-metal#665)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::SoftCap { .. });
        if made {
            node.op = Op::Scale { factor: 1.0 };
        }
        made
    }
}
