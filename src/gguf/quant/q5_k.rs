//! As Q4_K, with a fifth bit for each value: halves `d` and `dmin`, 12 bytes of scales, 32 of fifth
//! bits (bit g of byte l belongs to value l of group g), 128 of nibbles.

use super::{Block, Format, half_at, k_scales};

pub(super) const FORMAT: Format = Format::of::<Q5K, 176, 256>("Q5_K");

struct Q5K;

impl Block<176, 256> for Q5K {
    #[inline(always)]
    fn widen(block: &[u8; 176], out: &mut [f32; 256]) {
        let (d, dmin) = (half_at(block, 0), half_at(block, 2));
        let (scales, mins) = k_scales::unpack(&block[4..16]);
        let (fifth, nibbles) = block[16..].split_at(32);
        let pairs = nibbles.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<64>().0);
        for (g, (qs, out)) in pairs.enumerate() {
            let (d1, m1) = (d * f32::from(scales[2 * g]), dmin * f32::from(mins[2 * g]));
            let (d2, m2) = (d * f32::from(scales[2 * g + 1]), dmin * f32::from(mins[2 * g + 1]));
            let (low, high) = out.split_at_mut(32);
            for (((l, h), &q), &bits) in low.iter_mut().zip(high).zip(qs).zip(fifth) {
                // A comparison of bytes, where a shift by g would be done in wider lanes.
                let (first, second) = (bits & (1 << (2 * g)) != 0, bits & (2 << (2 * g)) != 0);
                *l = d1 * f32::from(q & 15 | if first { 16 } else { 0 }) - m1;
                *h = d2 * f32::from(q >> 4 | if second { 16 } else { 0 }) - m2;
            }
        }
    }
}
