//! 256 values of two bits in sixteen groups of 16, each with a 4-bit scale and minimum: 16 bytes of
//! scales (low nibbles) and minima (high ones), 64 bytes of values, halves `d` and `dmin`.
//! Value: (d · scale) · q − (dmin · min).

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Q2K, 84, 256>("Q2_K");

struct Q2K;

impl Block<84, 256> for Q2K {
    #[inline(always)]
    fn widen(block: &[u8; 84], out: &mut [f32; 256]) {
        let (d, dmin) = (half_at(block, 80), half_at(block, 82));
        for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            // 32 bytes hold 128 values: groups 0 and 1 the lowest bit pairs of their halves, and so on.
            let qs = &block[16 + 32 * (group / 8) + 16 * (group % 2)..][..16];
            let shift = 2 * (group % 8 / 2);
            let scale = d * f32::from(block[group] & 15);
            let min = dmin * f32::from(block[group] >> 4);
            for (o, &q) in out.iter_mut().zip(qs) {
                *o = scale * f32::from(q >> shift & 3) - min;
            }
        }
    }
}
