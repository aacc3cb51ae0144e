//! 256 nibbles in eight groups of 32, each with a 6-bit scale and minimum: halves `d` and `dmin`,
//! 12 bytes of scales, 128 of nibbles. Value: (d · scale) · q − (dmin · min).

use super::{Block, Format, half_at, k_scales};

pub(super) const FORMAT: Format = Format::of::<Q4K, 144, 256>("Q4_K");

struct Q4K;

impl Block<144, 256> for Q4K {
    #[inline(always)]
    fn widen(block: &[u8; 144], out: &mut [f32; 256]) {
        let (d, dmin) = (half_at(block, 0), half_at(block, 2));
        let (scales, mins) = k_scales::unpack(&block[4..16]);
        let pairs = block[16..].as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<64>().0);
        for (g, (qs, out)) in pairs.enumerate() {
            let (d1, m1) = (d * f32::from(scales[2 * g]), dmin * f32::from(mins[2 * g]));
            let (d2, m2) = (d * f32::from(scales[2 * g + 1]), dmin * f32::from(mins[2 * g + 1]));
            let (low, high) = out.split_at_mut(32);
            for ((l, h), &q) in low.iter_mut().zip(high).zip(qs) {
                *l = d1 * f32::from(q & 15) - m1;
                *h = d2 * f32::from(q >> 4) - m2;
            }
        }
    }
}
