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
            for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                // Quarters 0 and 1 are the low nibbles of the two halves of `low`, 2 and 3 the high ones.
                let low = &low[32 * (quarter % 2)..][..32];
                let nibble = 4 * (quarter / 2);
                for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    let scale = d * f32::from(scales[2 * quarter + group] as i8);
                    for (l, o) in out.iter_mut().enumerate() {
                        let at = 16 * group + l;
                        let q = low[at] >> nibble & 15 | (upper[at] >> (2 * quarter) & 3) << 4;
                        *o = scale * (i32::from(q) - 32) as f32;
                    }
                }
            }
        }
    }
}
