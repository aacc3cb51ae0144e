//! Weights kept in fewer bits than the file's: bf16, f16, f8, integers with a scale.

use std::sync::Arc;

use super::edited::{Edit, edited};
use super::{Case, Hypothesis, Trial};
use crate::audit::product::Weights as _;
use crate::model::Op;

/// See the module.
pub struct RoundedWeights;

/// A matrix larger than this (values) is not searched for its largest value.
const LARGEST: usize = 1 << 27;

/// The largest finite value of f8 with 4 and with 5 bits of exponent (OCP 8-bit floating point, 1.0).
pub const E4M3: f64 = 448.0;
/// See [`E4M3`].
pub const E5M2: f64 = 57344.0;

impl Hypothesis for RoundedWeights {
    fn id(&self) -> &'static str {
        "rounded-weights"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !matches!(case.node.op, Op::MatMul) {
            return Vec::new();
        }
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let Some(matrix) = bound.matrix() else { return Vec::new() };
        let mut trials = Vec::new();
        let mut add = |format: &str, edit: Edit| {
            let says = format!("the weights are rounded to {format}");
            trials.push(Trial::new(0, says, edited(case, matrix, edit)));
        };
        add("bf16", each(|x| half::bf16::from_f64(x).to_f64()));
        add("f16", each(|x| half::f16::from_f64(x).to_f64()));
        add("f8 (e4m3)", each(|x| short(x, 3, -6, E4M3)));
        add("f8 (e5m2)", each(|x| short(x, 2, -14, E5M2)));
        add("f8 (e4m3) with a scale a row", by_row(E4M3, |x| short(x, 3, -6, E4M3)));
        if matrix.rows() * matrix.row_len() <= LARGEST {
            let mut most = 0.0_f32;
            let mut row = vec![0.0; matrix.row_len()];
            for r in 0..matrix.rows() {
                matrix.row(r, &mut row);
                most = row.iter().fold(most, |most, x| most.max(x.abs()));
            }
            let scale = f64::from(most) / E4M3;
            add("f8 (e4m3) with one scale", each(move |x| short(x / scale, 3, -6, E4M3) * scale));
        }
        add("8-bit integers with a scale a row", by_row(127.0, |x| x.round_ties_even().clamp(-128.0, 127.0)));
        add("4-bit integers with a scale a row", by_row(7.0, |x| x.round_ties_even().clamp(-8.0, 7.0)));
        trials
    }
}

fn each(round: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Edit {
    Arc::new(move |row| {
        for x in row {
            *x = round(f64::from(*x)) as f32;
        }
    })
}

/// Rounds x / scale, where the row's largest value becomes `most`.
fn by_row(most: f64, round: fn(f64) -> f64) -> Edit {
    Arc::new(move |row| {
        let scale = f64::from(row.iter().fold(0.0_f32, |most, x| most.max(x.abs()))) / most;
        if scale > 0.0 {
            for x in row {
                *x = (round(f64::from(*x) / scale) * scale) as f32;
            }
        }
    })
}

/// Rounds to `bits` of mantissa; below 2^`least` in equal steps, beyond `most` to it.
pub fn short(x: f64, bits: i32, least: i32, most: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = (x.abs().log2().floor() as i32).max(least);
    let step = 2f64.powi(exponent - bits);
    ((x / step).round_ties_even() * step).clamp(-most, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_rounds_as_the_standard_says() {
        let e4m3 = |x| short(x, 3, -6, E4M3);
        // Neighbours of 1 are 0.9375 and 1.125; the smallest subnormal is 2⁻⁹.
        assert_eq!([e4m3(1.05), e4m3(1.07), e4m3(0.95), e4m3(-500.0)], [1.0, 1.125, 0.9375, -448.0]);
        assert_eq!([e4m3(0.0015), e4m3(0.0009), e4m3(0.0)], [1.0 / 512.0, 0.0, 0.0]);
        assert_eq!(short(3.3, 2, -14, E5M2), 3.5);
    }
}
