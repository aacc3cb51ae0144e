//! Both operands as TF32 (10 bits of fraction): CUDA tensor cores. ggml's own kernels cut the
//! rest off, cuBLAS rounds to the nearest, half to even.

use super::{Circumstance, Rule, is_product};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// See the module.
pub struct Tf32 {
    id: &'static str,
    title: &'static str,
    round: fn(f32) -> f32,
    columns: (u32, u32),
}

/// 4 to 16 columns.
pub static TRUNCATED: Tf32 =
    Tf32 { id: "tf32-cut", title: "TF32 operands, cut off", round: cut, columns: (4, 16) };
/// 17 and more columns.
pub static NEAREST: Tf32 =
    Tf32 { id: "tf32", title: "TF32 operands, rounded to nearest", round: nearest, columns: (17, u32::MAX) };

/// Bits of an f32's fraction that TF32 lacks.
const LOST: u32 = 13;

fn cut(x: f32) -> f32 {
    f32::from_bits(x.to_bits() >> LOST << LOST)
}

fn nearest(x: f32) -> f32 {
    if !x.is_finite() {
        return x;
    }
    let bits = x.to_bits();
    let even = (bits >> LOST) & 1;
    f32::from_bits((bits + (1 << (LOST - 1)) - 1 + even) >> LOST << LOST)
}

impl Rule for Tf32 {
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
        let matrix = matches!(node.op, Op::MatMul) && at.weights == Some(WeightType::F32);
        matrix || (is_product(node) && !matches!(node.op, Op::MatMul))
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let batch = at.columns.is_some_and(|n| (self.columns.0..=self.columns.1).contains(&n));
        at.is_llama_cuda() && batch && matches!(node.op, Op::MatMul)
    }
    fn operand(&self, _: &Node, _: usize, row: &mut [f64]) {
        for x in row {
            *x = (self.round)(*x as f32).into();
        }
    }
    fn weights(&self, row: &mut [f32]) {
        for x in row {
            *x = (self.round)(*x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nearest_is_the_nearer_neighbour(x in -1e30_f32..1e30) {
            let (low, near) = (cut(x), nearest(x));
            let step = f32::from_bits((low.to_bits() >> LOST).wrapping_add(1) << LOST);
            let (down, up) = ((f64::from(x) - f64::from(low)).abs(), (f64::from(step) - f64::from(x)).abs());
            let expected = if down < up { low } else { step };
            prop_assert!(near == expected || down == up, "{x} {near} {expected}");
            prop_assert_eq!(near.to_bits() & ((1 << LOST) - 1), 0);
        }
    }

    #[test]
    fn half_goes_to_even() {
        let one = 1.0_f32.to_bits();
        assert_eq!(nearest(f32::from_bits(one + (1 << 12))), 1.0);
        assert_eq!(nearest(f32::from_bits(one + (3 << 12))).to_bits(), one + (2 << 13));
    }
}
