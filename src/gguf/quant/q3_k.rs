//! 256 values of three bits in sixteen groups of 16, each with a 6-bit scale: 32 bytes of high bits
//! (bit g of byte l belongs to value l of 32-value group g), 64 of low bit pairs, 12 of scales, half `d`.
//! Value: (d · (scale − 32)) · (q − 4).

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Q3K, 110, 256>("Q3_K");

struct Q3K;

impl Block<110, 256> for Q3K {
    #[inline(always)]
    fn widen(block: &[u8; 110], out: &mut [f32; 256]) {
        let d = half_at(block, 108);
        let scales = scales(&block[96..108]);
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let low = &block[32 + 32 * half..][..32];
            let mut q = [[0_u8; 32]; 4];
            for l in 0..32 {
                let (bits, high) = (low[l], block[l] >> (4 * half));
                q[0][l] = bits & 3 | (high & 1) << 2;
                q[1][l] = bits >> 2 & 3 | (high >> 1 & 1) << 2;
                q[2][l] = bits >> 4 & 3 | (high >> 2 & 1) << 2;
                q[3][l] = bits >> 6 | (high >> 3 & 1) << 2;
            }
            let groups = q.as_flattened().as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<16>().0);
            for ((q, out), &scale) in groups.zip(&scales[8 * half..][..8]) {
                let scale = d * (i32::from(scale) - 32) as f32;
                for (o, &q) in out.iter_mut().zip(q) {
                    *o = scale * (i32::from(q) - 4) as f32;
                }
            }
        }
    }
}

/// Six-bit scales: low nibbles of bytes 0–7, then their high ones; the upper two bits are in bytes 8–11,
/// the lowest pairs of all four first.
#[inline(always)]
fn scales(packed: &[u8]) -> [u8; 16] {
    std::array::from_fn(|j| {
        let nibble = packed[j % 8] >> (4 * (j / 8)) & 15;
        nibble | (packed[8 + j % 4] >> (2 * (j / 4)) & 3) << 4
    })
}
