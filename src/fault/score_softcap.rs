//! Scores are not capped.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct ScoreSoftcap;

impl Fault for ScoreSoftcap {
    fn id(&self) -> &'static str {
        "score-softcap"
    }
    fn catalogue(&self) -> u8 {
        15
    }
    fn title(&self) -> &'static str {
        "scores are not capped"
    }
    fn explain(&self) -> &'static str {
        "Gemma 2 caps scores with 50 · tanh(s / 50). Large scores only are touched, but those decide \
         (llama.cpp#8197)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::SoftMax(a) = &mut node.op else { return false };
        a.softcap.take().is_some()
    }
}
