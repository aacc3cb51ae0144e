//! Rounding to 8 bits in blocks that share a scale, as ggml quantises activations.

use super::{Part, Tie};

/// How a block is rounded.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// Values that share a scale.
    pub len: usize,
    /// Whether the quotient is x · (127/max) (true) or x / (max/127).
    pub multiplies: bool,
    /// Whether a quotient of .5 goes to the even neighbour (true) or away from zero.
    pub half_to_even: bool,
    /// What becomes of the scale before values are widened again.
    pub scale: Scale,
}

/// How a block's scale is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As f16.
    Half,
    /// As f32: max / 127.
    Full,
    /// As f32: 1 / (127 / max).
    Inverse,
}

/// A quotient this near to the middle (in steps, times the quotient's size) may fall either way: a few
/// roundings of f32, which is all that another order of operations can make.
const TIE: f64 = 6.0 * f32::EPSILON as f64;

/// A scale this near (as a share of itself) to the middle between two f16 numbers may become either: the reciprocal
/// of a reciprocal, each of them a few units off on a GPU.
const SCALE: f64 = 4.0 * f32::EPSILON as f64;

/// The other f16 that `exact`, which `rounded` was made of, may become when it is off by `error`.
pub fn either(rounded: f64, exact: f64, error: f64) -> Option<f64> {
    [exact - error, exact + error].map(super::half::round).into_iter().find(|other| *other != rounded)
}

struct Block {
    inverse: f32,
    /// Before it is kept.
    scale: f32,
    step: f64,
}

impl Blocks {
    fn block(&self, values: &[f64]) -> Option<Block> {
        let largest = values.iter().fold(0.0_f32, |m, x| m.max((*x as f32).abs()));
        if !(largest > 0.0) || !largest.is_finite() {
            return None;
        }
        let scale = largest / 127.0;
        let inverse = 127.0 / largest;
        let step = match self.scale {
            Scale::Half => ::half::f16::from_f32(scale).to_f64(),
            Scale::Full => f64::from(scale),
            Scale::Inverse => f64::from(1.0 / inverse),
        };
        Some(Block { inverse: if self.multiplies { inverse } else { scale }, scale, step })
    }

    fn quotient(&self, block: &Block, x: f64) -> f32 {
        let x = x as f32;
        if self.multiplies { x * block.inverse } else { x / block.inverse }
    }

    fn rounded(&self, block: &Block, x: f64) -> f32 {
        let q = self.quotient(block, x);
        if self.half_to_even { q.round_ties_even() } else { q.round() }
    }

    /// Rounds a row in place. Rows that hold what no block can (NaN, Inf) are left.
    pub fn round(&self, row: &mut [f64]) {
        for values in row.chunks_mut(self.len) {
            match self.block(values) {
                Some(block) => {
                    for x in values {
                        *x = f64::from(self.rounded(&block, *x)) * block.step;
                    }
                }
                None if values.iter().all(|x| x.is_finite()) => values.fill(0.0),
                None => {}
            }
        }
    }

    /// Values of the unrounded `row` that may fall the other way.
    pub fn ties(&self, row: &[f64]) -> Vec<Tie> {
        let mut ties = Vec::new();
        for (b, values) in row.chunks(self.len).enumerate() {
            let Some(block) = self.block(values) else { continue };
            for (i, &x) in values.iter().enumerate() {
                let q = self.quotient(&block, x);
                let over = f64::from(q - self.rounded(&block, x));
                if (over.abs() - 0.5).abs() <= TIE * f64::from(q.abs()).max(1.0) {
                    let steps = vec![over.signum() * block.step];
                    ties.push(Tie { part: Part::Values, first: b * self.len + i, steps });
                }
            }
            if self.scale == Scale::Half
                && let Some(other) =
                    either(block.step, f64::from(block.scale), SCALE * f64::from(block.scale))
            {
                let rounded = |&x: &f64| f64::from(self.rounded(&block, x));
                let steps = values.iter().map(|x| rounded(x) * (other - block.step)).collect();
                ties.push(Tie { part: Part::Values, first: b * self.len, steps });
            }
        }
        ties
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// ggml's quantize_row_q8_0, element by element.
    fn q8_0_reference(x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for block in x.chunks(32) {
            let mut largest = 0.0_f32;
            for v in block {
                if v.abs() > largest {
                    largest = v.abs();
                }
            }
            let d = largest / 127.0;
            let id = if largest == 0.0 { 0.0 } else { 127.0 / largest };
            let kept = half::f16::from_f32(d).to_f32();
            for v in block {
                let t = v * id;
                let (low, rest) = (t.floor(), t - t.floor());
                let up = rest > 0.5 || (rest == 0.5 && (low as i32) % 2 != 0);
                out.push((low as i32 + i32::from(up)) as f32 * kept);
            }
        }
        out
    }

    /// ggml's quantize_row_q8_K, element by element: the scale takes the sign of the largest value.
    fn q8_k_reference(x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for block in x.chunks(256) {
            let mut max = 0.0_f32;
            for &v in block {
                if v.abs() > max.abs() {
                    max = v;
                }
            }
            let iscale = -127.0 / max;
            let d = 1.0 / iscale;
            for v in block {
                // Adding 1.5·2²³ rounds to the nearest even integer, as ggml's nearest_int does.
                let q = if max == 0.0 { 0.0 } else { (iscale * v + 12_582_912.0) - 12_582_912.0 };
                out.push(if max == 0.0 { 0.0 } else { q.min(127.0) * d });
            }
        }
        out
    }

    const Q8_0: Blocks = Blocks { len: 32, multiplies: true, half_to_even: true, scale: Scale::Half };
    const Q8_K: Blocks = Blocks { len: 256, multiplies: true, half_to_even: true, scale: Scale::Inverse };

    proptest! {
        #[test]
        fn rounds_as_ggml_does(x in prop::collection::vec(-100.0_f32..100.0, 256), k in 0_usize..3) {
            // Sparse rows and rows of zeros, too.
            let kept = |i: usize| k == 0 || i.is_multiple_of(2 * k);
            let x: Vec<f32> = x.iter().enumerate().map(|(i, v)| if kept(i) { *v } else { 0.0 }).collect();
            for (blocks, reference) in [(Q8_0, q8_0_reference(&x)), (Q8_K, q8_k_reference(&x))] {
                let mut row: Vec<f64> = x.iter().map(|&v| v.into()).collect();
                blocks.round(&mut row);
                for (a, b) in row.iter().zip(&reference) {
                    // The product of step and integer is kept in f64 here.
                    prop_assert!((a - f64::from(*b)).abs() <= f64::from(b.abs()) * 1e-7, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_value_in_the_middle_is_a_tie_and_rounds_either_way() {
        let mut row = vec![0.0_f64; 32];
        (row[0], row[1], row[2]) = (127.0, 2.5, 3.4);
        let ties = Q8_0.ties(&row);
        assert_eq!(ties.len(), 1);
        assert_eq!((ties[0].first, &*ties[0].steps), (1, &[1.0][..]));
        Q8_0.round(&mut row);
        assert_eq!(row[..3], [127.0, 2.0, 3.0]);
    }

    #[test]
    fn a_scale_in_the_middle_moves_its_block() {
        // 127 · (1 + 2⁻¹¹): the scale lies between 1 and the next f16.
        let mut row = vec![0.0_f64; 32];
        (row[0], row[1]) = (127.0 * (1.0 + 1.0 / 2048.0), 64.0);
        let ties = Q8_0.ties(&row);
        assert_eq!(ties.len(), 1);
        assert_eq!((ties[0].first, ties[0].steps[0], ties[0].steps[1]), (0, 127.0 / 1024.0, 64.0 / 1024.0));
    }

    #[test]
    fn what_no_block_can_hold_is_left() {
        let mut row = vec![f64::NAN; 32];
        Q8_0.round(&mut row);
        assert!(row.iter().all(|x| x.is_nan()));
    }
}
