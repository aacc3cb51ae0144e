//! As IQ4_NL, in eight groups of 32 with a 6-bit scale each: half `d`, two bytes of upper and four of
//! lower scale bits, 128 bytes of nibbles. Value: (d · (scale − 32)) · table\[q\].

use super::iq4_nl::TABLE;
use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Iq4Xs, 136, 256>("IQ4_XS");

struct Iq4Xs;

impl Block<136, 256> for Iq4Xs {
    #[inline(always)]
    fn widen(block: &[u8; 136], out: &mut [f32; 256]) {
        let d = half_at(block, 0);
        let upper = u16::from_le_bytes([block[2], block[3]]);
        let groups = block[8..].as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<32>().0);
        for (g, (qs, out)) in groups.enumerate() {
            let scale = block[4 + g / 2] >> (4 * (g % 2)) & 15 | ((upper >> (2 * g) & 3) as u8) << 4;
            let scale = d * (i32::from(scale) - 32) as f32;
            let (low, high) = out.split_at_mut(16);
            for ((l, h), &q) in low.iter_mut().zip(high).zip(qs) {
                *l = scale * f32::from(TABLE[usize::from(q & 15)]);
                *h = scale * f32::from(TABLE[usize::from(q >> 4)]);
            }
        }
    }
}
