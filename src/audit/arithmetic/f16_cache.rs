//! Keys and values are rounded when they are stored, queries and probabilities are not: our engine with
//! a 16-bit cache, llama.cpp on CUDA for one column, tiled flash attention on the CPU.

use super::{Circumstance, Rule, to_bf16, to_f16};
use crate::model::{Node, Op};

/// See the module.
pub struct ShortCache {
    id: &'static str,
    title: &'static str,
    cache: &'static str,
    round: fn(f64) -> f64,
}

/// Keys and values in f16.
pub static F16: ShortCache =
    ShortCache { id: "f16-cache", title: "f16 keys and values, the rest f32", cache: "f16", round: to_f16 };
/// Keys and values in bf16.
pub static BF16: ShortCache = ShortCache {
    id: "bf16-cache",
    title: "bf16 keys and values, the rest f32",
    cache: "bf16",
    round: to_bf16,
};

impl Rule for ShortCache {
    fn id(&self) -> &'static str {
        self.id
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, _: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::Scores(_) | Op::Mix(_))
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        !at.is_llama_cpu() && at.cache() == Some(self.cache)
    }
    fn operand(&self, node: &Node, index: usize, row: &mut [f64]) {
        if node.op.history_input() == Some(index) {
            for x in row {
                *x = (self.round)(*x);
            }
        }
    }
}
