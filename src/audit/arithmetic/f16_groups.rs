//! Sums of sixteen f16 products that an f16 accumulator takes one after the other: tensor cores with an
//! f16 compute type (cuBLAS, F16 weights and f16 values of a cache, 17 columns and more).

use super::heads::mix;
use super::{Circumstance, Rule, half, is_f16_sum, to_f16};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::model::{Node, Op};

/// See the module.
pub struct F16Groups;

/// Products that a tensor core adds before it rounds.
pub const GROUP: usize = 16;

/// The sum as the accumulator makes it.
pub fn sum(a: &[f64], b: &[f64]) -> f64 {
    a.chunks(GROUP)
        .zip(b.chunks(GROUP))
        .fold(0.0, |sum, (a, b)| half::round(sum + a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()))
}

/// What is left when the order is right, for sums of `terms` products. Inside, a tensor core cuts
/// each of 17 addends off behind 24 bits counted from the largest, which may be four times the sum: together at most
/// 17 · 4 · 2⁻²⁴ of it, so that one rounding in 2⁻¹⁰ / that = 240 falls on the other side and moves the sum by
/// 2⁻¹⁰. Of terms / 16 roundings, as many as do so add up as a random walk.
pub fn left(terms: usize) -> f64 {
    const UNIT: f64 = 1.0 / 1024.0;
    const CUT: f64 = 17.0 * 4.0 / (1 << 24) as f64;
    let roundings = terms.div_ceil(GROUP) as f64;
    UNIT * (roundings * CUT / UNIT).sqrt()
}

impl Rule for F16Groups {
    fn id(&self) -> &'static str {
        "f16-groups"
    }
    fn title(&self) -> &'static str {
        "f16 sums of 16 products each, as cuBLAS"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        is_f16_sum(node, at)
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let cached = matches!(node.op, Op::MatMul) || at.cache() == Some("f16");
        at.is_llama_cuda() && at.columns.is_some_and(|n| n > 16) && cached && !at.fused
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = to_f16(*x);
        }
    }
    fn sum(&self, weights: &[f32], column: &[f64]) -> Option<f64> {
        let weights: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
        Some(sum(&weights, column))
    }
    fn evaluate(&self, node: &Node, _: &Bound, _: Moment, inputs: &[&[f64]], out: &mut [f64]) -> bool {
        let Op::Mix(a) = &node.op else { return false };
        mix(a, inputs, out, sum);
        true
    }
    fn floor(&self, terms: usize) -> Option<f64> {
        Some(left(terms))
    }
    fn admits(&self, recorded: &[f32]) -> bool {
        super::are_f16(recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_sixteen_products_is_rounded_anew() {
        let (mut a, b) = (vec![0.0; 32], vec![1.0; 32]);
        (a[0], a[1]) = (1.0, 1.0 / 4096.0);
        (a[2], a[3], a[4]) = (a[1], a[1], 0.0);
        // Together three small ones are more than half a step of 1, alone in the next group none is.
        assert_eq!(sum(&a, &b), 1.0 + 1.0 / 1024.0);
        (a[1], a[2], a[3], a[16]) = (0.0, 0.0, 0.0, 1.0 / 4096.0);
        assert_eq!(sum(&a, &b), 1.0);
    }
}
