//! One pass over a row that counts what the classes ask for, so that an honest row costs one look.

/// Counts over a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Profile {
    /// Not a number.
    pub nan: u32,
    /// Either infinity.
    pub infinite: u32,
    /// ±0.
    pub zero: u32,
    /// Smaller than the smallest normal f32, and not zero.
    pub denormal: u32,
    /// ±65504, the largest f16.
    pub saturated: u32,
    /// Finite and at least 1e9 in size.
    pub huge: u32,
    /// Bits that may be a fill pattern: both halves alike and not zero, 0xDEADBEEF, 0xBAADF00D.
    pub pattern: u32,
    /// Values whose bits equal the first one's.
    pub same_as_first: u32,
    /// Depends on every bit and on the order; the same on every machine.
    pub hash: u64,
}

/// Larger than anything seen in honest passes: the massive activations of trained models reach
/// 1e4, an overflowing f16 accumulator 65504.
pub const HUGE: f32 = 1e9;

const F16_MAX_BITS: u32 = 65504.0_f32.to_bits();
const INF_BITS: u32 = f32::INFINITY.to_bits();
const SMALLEST_NORMAL: u32 = f32::MIN_POSITIVE.to_bits();
const LANES: usize = 8;

#[inline(always)]
fn body(values: &[f32]) -> Profile {
    let first = values.first().map_or(0, |x| x.to_bits());
    let huge_bits = HUGE.to_bits();
    let mut counts = [[0_u32; LANES]; 8];
    // FNV-like: odd multipliers keep every bit; lanes so that a multiplication need not wait.
    let mut hash = [0x9e37_79b9_u32; LANES];
    let mut hash2 = [0x85eb_ca6b_u32; LANES];
    let mut step = |bits: &[u32; LANES], on: &[u32; LANES]| {
        for lane in 0..LANES {
            let (b, one) = (bits[lane], on[lane]);
            let size = b & 0x7fff_ffff;
            counts[0][lane] += u32::from(size > INF_BITS) & one;
            counts[1][lane] += u32::from(size == INF_BITS) & one;
            counts[2][lane] += u32::from(size == 0) & one;
            counts[3][lane] += u32::from(size.wrapping_sub(1) < SMALLEST_NORMAL - 1) & one;
            counts[4][lane] += u32::from(size == F16_MAX_BITS) & one;
            counts[5][lane] += u32::from(size >= huge_bits) & u32::from(size < INF_BITS) & one;
            counts[6][lane] += u32::from(b == first) & one;
            let alike = u32::from(b == b.rotate_left(16)) & u32::from(b != 0);
            let marked = u32::from(b == 0xdead_beef) | u32::from(b == 0xbaad_f00d);
            counts[7][lane] += (alike | marked) & one;
            hash[lane] = (hash[lane] ^ b).wrapping_mul(0x0100_0193).rotate_left(13);
            hash2[lane] = (hash2[lane].rotate_left(5) ^ b).wrapping_mul(0x9e37_79b1);
        }
    };
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        step(&chunk.map(f32::to_bits), &[1; LANES]);
    }
    if !rest.is_empty() {
        let mut bits = [0x5bd1_e995; LANES];
        let mut on = [0; LANES];
        for (i, x) in rest.iter().enumerate() {
            (bits[i], on[i]) = (x.to_bits(), 1);
        }
        step(&bits, &on);
    }
    let [nan, infinite, zero, denormal, saturated, huge, same_as_first, pattern] =
        counts.map(|c| c.iter().sum());
    let mut mixed = values.len() as u64;
    for (a, b) in hash.iter().zip(hash2) {
        mixed ^= u64::from(*a) << 32 | u64::from(b);
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
    }
    Profile { nan, infinite, zero, denormal, saturated, huge, pattern, same_as_first, hash: mixed }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn body_avx2(values: &[f32]) -> Profile {
    body(values)
}

impl Profile {
    /// Counts over `values`.
    pub fn of(values: &[f32]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            #[allow(unsafe_code)]
            return unsafe { body_avx2(values) };
        }
        body(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_at_every_length() {
        let odd = [f32::NAN, f32::INFINITY, -0.0, 0.0, f32::from_bits(1), -65504.0, 1e9, -f32::INFINITY, 1.0];
        for n in 0..40 {
            let row: Vec<f32> = odd.iter().cycle().take(n).copied().collect();
            let p = Profile::of(&row);
            let count = |f: fn(f32) -> bool| row.iter().filter(|&&x| f(x)).count() as u32;
            assert_eq!(p.nan, count(f32::is_nan));
            assert_eq!(p.infinite, count(f32::is_infinite));
            assert_eq!(p.zero, count(|x| x == 0.0));
            assert_eq!(p.denormal, count(f32::is_subnormal));
            assert_eq!(p.saturated, count(|x| x.abs() == 65504.0));
            assert_eq!(p.huge, count(|x| x.is_finite() && x.abs() >= HUGE));
        }
    }

    #[test]
    fn the_hash_sees_every_bit_and_the_order() {
        let row: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let hash = Profile::of(&row).hash;
        for i in 0..100 {
            for bit in 0..32 {
                let mut other = row.clone();
                other[i] = f32::from_bits(other[i].to_bits() ^ (1 << bit));
                assert_ne!(Profile::of(&other).hash, hash);
            }
        }
        let mut swapped = row.clone();
        swapped.swap(3, 11);
        assert_ne!(Profile::of(&swapped).hash, hash, "the same lane of two chunks");
        assert_ne!(Profile::of(&row[..99]).hash, hash);
    }
}
