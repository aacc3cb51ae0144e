//! Sums of sixteen f16 products that an f16 accumulator takes one after the other: tensor cores with an
//! f16 compute type (cuBLAS, F16 weights and f16 values of a cache, 17 columns and more).

use super::f16_sums::F16Sums;
use super::{are_f16, half};

/// See the module.
pub static F16_GROUPS: F16Sums = F16Sums {
    id: "f16-groups",
    title: "f16 sums of 16 products each, as cuBLAS",
    columns: |n| n > 16,
    sum: |a, b, _| sum(a, b),
    floor: |terms| Some(left(terms)),
    admits: are_f16,
};

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
