//! Sums in f16: one rounding of an exact sum to the nearest f16.

/// Nearest f16 to an f64, half to even: one rounding, where going through f32 would make two. Without
/// branches, so that loops over it become vectors.
#[inline]
pub fn round(x: f64) -> f64 {
    /// Below this, f16's numbers lie 2⁻²⁴ apart, as they do just above it.
    const SMALLEST: f64 = 1.0 / 16384.0;
    /// Beyond the middle between the largest f16 and the next step.
    const LARGEST: f64 = 65520.0;
    let power = f64::from_bits(x.abs().max(SMALLEST).to_bits() & (0x7ff << 52));
    // 1.5 · 2⁴² of the leading bit: adding it leaves ten bits behind that one.
    let magic = power * 1.5 * (1_u64 << 42) as f64;
    let rounded = (x + magic) - magic;
    if x.abs() < LARGEST { rounded } else { x + f64::INFINITY.copysign(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_one_rounding_of_f32(bits in 0_u32..) {
            // Of an f32 there is one rounding either way.
            let x = f32::from_bits(bits);
            let (ours, theirs) = (round(f64::from(x)), half::f16::from_f32(x).to_f64());
            prop_assert!(ours == theirs || x.is_nan(), "{x:e}: {ours:e} {theirs:e}");
        }
    }

    #[test]
    fn a_value_just_above_the_middle_goes_up() {
        // Through f32 the last bit would be lost and the tie go to the even neighbour below.
        let middle = 1.0 + 1.0 / 2048.0;
        assert_eq!(round(middle), 1.0);
        assert_eq!(round(middle + 1e-12), 1.0 + 1.0 / 1024.0);
        assert_eq!(round(65519.9), 65504.0);
        assert_eq!(round(-65520.0), f64::NEG_INFINITY);
    }
}
