//! 256 values of six bits in sixteen groups of 16, each with a signed 8-bit scale: 128 bytes of low
//! nibbles, 64 of upper bit pairs, 16 scales, half `d`. Value: (d · scale) · (q − 32).

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Q6K, 210, 256>("Q6_K");

struct Q6K;

impl Block<210, 256> for Q6K {
    #[inline(always)]
    fn widen(block: &[u8; 210], out: &mut [f32; 256]) {
        let d = half_at(block, 208);
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let low = &block[64 * half..][..64];
            let upper = &block[128 + 32 * half..][..32];
            let scales = &block[192 + 8 * half..][..8];
            // Quarters 0 and 1 are the low nibbles of the two halves of `low`, 2 and 3 the high ones.
            let mut q = [[0_u8; 32]; 4];
            for l in 0..32 {
                let (a, b, bits) = (low[l], low[l + 32], upper[l]);
                q[0][l] = a & 15 | (bits & 3) << 4;
                q[1][l] = b & 15 | (bits >> 2 & 3) << 4;
                q[2][l] = a >> 4 | (bits >> 4 & 3) << 4;
                q[3][l] = b >> 4 | (bits >> 6) << 4;
            }
            let groups = q.as_flattened().as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<16>().0);
            for ((q, out), &scale) in groups.zip(scales) {
                let scale = d * f32::from(scale as i8);
                for (o, &q) in out.iter_mut().zip(q) {
                    *o = scale * (i32::from(q) - 32) as f32;
                }
            }
        }
    }
}
