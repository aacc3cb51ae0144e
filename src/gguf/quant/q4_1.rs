//! 32 nibbles with a scale and a minimum: halves `d` and `m`, then 16 bytes; low nibbles are the first
//! 16 values. Value: q · d + m.

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Q4_1, 20, 32>("Q4_1");

struct Q4_1;

impl Block<20, 32> for Q4_1 {
    #[inline(always)]
    fn widen(block: &[u8; 20], out: &mut [f32; 32]) {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        let (low, high) = out.split_at_mut(16);
        for ((l, h), &q) in low.iter_mut().zip(high).zip(&block[4..]) {
            *l = f32::from(q & 15) * d + m;
            *h = f32::from(q >> 4) * d + m;
        }
    }
}
