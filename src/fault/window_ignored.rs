//! The sliding window is ignored.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct WindowIgnored;

impl Fault for WindowIgnored {
    fn id(&self) -> &'static str {
        "window-ignored"
    }
    fn catalogue(&self) -> u8 {
        16
    }
    fn title(&self) -> &'static str {
        "the sliding window is ignored"
    }
    fn explain(&self) -> &'static str {
        "Every layer sees everything: clean until the position is beyond the window (llama.cpp#8627)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::SoftMax(a) = &mut node.op else { return false };
        a.window.take().is_some()
    }
}
