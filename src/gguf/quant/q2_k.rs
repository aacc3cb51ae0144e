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
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let qs = &block[16 + 32 * half..][..32];
            let mut q = [[0_u8; 32]; 4];
            for (l, &bits) in qs.iter().enumerate() {
                q[0][l] = bits & 3;
                q[1][l] = bits >> 2 & 3;
                q[2][l] = bits >> 4 & 3;
                q[3][l] = bits >> 6;
            }
            let groups = q.as_flattened().as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<16>().0);
            for ((q, out), &packed) in groups.zip(&block[8 * half..][..8]) {
                let (scale, min) = (d * f32::from(packed & 15), dmin * f32::from(packed >> 4));
                for (o, &q) in out.iter_mut().zip(q) {
                    *o = scale * f32::from(q) - min;
                }
            }
        }
    }
}
