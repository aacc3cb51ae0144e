//! 32 values of five bits with one scale: half `d`, 4 bytes of fifth bits, 16 of nibbles (low ones are
//! the first 16 values). Value: (q − 16) · d.

use super::{Block, Format, fifth_bits, half_at};

pub(super) const FORMAT: Format = Format::of::<Q5_0, 22, 32>("Q5_0");

struct Q5_0;

impl Block<22, 32> for Q5_0 {
    #[inline(always)]
    fn widen(block: &[u8; 22], out: &mut [f32; 32]) {
        let (d, bits) = (half_at(block, 0), fifth_bits::word(block, 2));
        let nibbles = &block[6..];
        let (low, high) = out.split_at_mut(16);
        for (j, (l, h)) in low.iter_mut().zip(high).enumerate() {
            let (a, b) = fifth_bits::join(bits, nibbles, j);
            *l = (a - 16) as f32 * d;
            *h = (b - 16) as f32 * d;
        }
    }
}
