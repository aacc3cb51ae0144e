//! RMSNorm takes its mean over half of the row at a time.

use super::Fault;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct NormLength;

impl Fault for NormLength {
    fn id(&self) -> &'static str {
        "norm-length"
    }
    fn catalogue(&self) -> u8 {
        30
    }
    fn title(&self) -> &'static str {
        "RMSNorm takes its mean over half of the row at a time"
    }
    fn explain(&self) -> &'static str {
        "A reduction that covers one block of threads instead of the row: each part of the row is \
         normalised by itself, from attn_norm-0 and position 0 on."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let Op::RmsNorm { group, .. } = &mut node.op else { return false };
        let possible = *group == node.width && group.is_multiple_of(2);
        if possible {
            *group /= 2;
        }
        possible
    }
}
