//! Products of f16 operands that llama.cpp on CUDA adds up in f16, in an order that depends on the kernel.

use super::heads::mix;
use super::{Circumstance, Rule, is_f16_sum, to_f16};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::model::{Node, Op};

/// One such order.
pub struct F16Sums {
    /// Stable id.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// Whether batches of so many columns are expected to be computed so.
    pub columns: fn(u32) -> bool,
    /// The sum of the products of two rows. `cached`: the rows come out of a cache, which the kernel sees in steps.
    pub sum: fn(a: &[f64], b: &[f64], cached: bool) -> f64,
    /// See [`Rule::floor`].
    pub floor: fn(usize) -> Option<f64>,
    /// See [`Rule::admits`].
    pub admits: fn(&[f32]) -> bool,
}

impl Rule for F16Sums {
    fn id(&self) -> &'static str {
        self.id
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        is_f16_sum(node, at)
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let cached = matches!(node.op, Op::MatMul) || at.cache() == Some("f16");
        at.is_llama_cuda() && at.columns.is_some_and(self.columns) && cached && !at.fused
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = to_f16(*x);
        }
    }
    fn sum(&self, weights: &[f32], column: &[f64]) -> Option<f64> {
        let weights: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
        Some((self.sum)(&weights, column, false))
    }
    fn evaluate(&self, node: &Node, _: &Bound, _: Moment, inputs: &[&[f64]], out: &mut [f64]) -> bool {
        let Op::Mix(a) = &node.op else { return false };
        mix(a, inputs, out, |values, probabilities| (self.sum)(values, probabilities, true));
        true
    }
    fn floor(&self, terms: usize) -> Option<f64> {
        (self.floor)(terms)
    }
    fn admits(&self, recorded: &[f32]) -> bool {
        (self.admits)(recorded)
    }
}
