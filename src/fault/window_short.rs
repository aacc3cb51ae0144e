//! The sliding window is one position short.

use super::Fault;
use crate::model::graph::Attention;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct WindowShort;

impl Fault for WindowShort {
    fn id(&self) -> &'static str {
        "window-short"
    }
    fn catalogue(&self) -> u8 {
        16
    }
    fn title(&self) -> &'static str {
        "the sliding window is one position short"
    }
    fn explain(&self) -> &'static str {
        "Whether the window counts the position itself: clean until the position reaches the window \
         (Megatron-Bridge#2656)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::SoftMax(Attention { window: Some(window), .. }) = &mut node.op else { return false };
        let possible = *window > 1;
        if possible {
            *window -= 1;
        }
        possible
    }
}
