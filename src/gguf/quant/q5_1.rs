//! 32 values of five bits with a scale and a minimum: halves `d` and `m`, 4 bytes of fifth bits, 16 of
//! nibbles (low ones are the first 16 values). Value: q · d + m.

use super::{Block, Format, fifth_bits, half_at};

pub(super) const FORMAT: Format = Format::of::<Q5_1, 24, 32>("Q5_1");

struct Q5_1;

impl Block<24, 32> for Q5_1 {
    #[inline(always)]
    fn widen(block: &[u8; 24], out: &mut [f32; 32]) {
        let (d, m, bits) = (half_at(block, 0), half_at(block, 2), fifth_bits::word(block, 4));
        let nibbles = &block[8..];
        let (low, high) = out.split_at_mut(16);
        for (j, (l, h)) in low.iter_mut().zip(high).enumerate() {
            let (a, b) = fifth_bits::join(bits, nibbles, j);
            *l = a as f32 * d + m;
            *h = b as f32 * d + m;
        }
    }
}
