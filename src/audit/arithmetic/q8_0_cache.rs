//! A cache of Q8_0 blocks: keys are stored so, and the query is rounded so before it meets them.
//! llama.cpp on the CPU with `--kv q8_0`.

use super::q8_0::BLOCKS;
use super::{Circumstance, Rule};
use crate::model::graph::Attention;
use crate::model::{Node, Op};

/// See the module.
pub struct Q8_0Cache;

impl Rule for Q8_0Cache {
    fn id(&self) -> &'static str {
        "q8_0-cache"
    }
    fn title(&self) -> &'static str {
        "Q8_0 keys, values and queries, as llama.cpp on the CPU"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, _: &Circumstance<'_>) -> bool {
        let fits = |a: &Attention| a.head_dim.is_multiple_of(32) && a.head_dim_v.is_multiple_of(32);
        matches!(&node.op, Op::Scores(a) | Op::Mix(a) if fits(a))
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu() && at.cache() == Some("q8_0")
    }
    fn operand(&self, node: &Node, index: usize, row: &mut [f64]) {
        if matches!(node.op, Op::Mix(_)) && index == 0 {
            return;
        }
        BLOCKS.round(row);
    }
}
