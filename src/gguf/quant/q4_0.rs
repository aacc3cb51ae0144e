//! 32 nibbles with one scale: half `d`, then 16 bytes; low nibbles are the first 16 values.
//! Value: (q − 8) · d.

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Q4_0, 18, 32>("Q4_0");

struct Q4_0;

impl Block<18, 32> for Q4_0 {
    #[inline(always)]
    fn widen(block: &[u8; 18], out: &mut [f32; 32]) {
        let d = half_at(block, 0);
        let (low, high) = out.split_at_mut(16);
        for ((l, h), &q) in low.iter_mut().zip(high).zip(&block[2..]) {
            *l = (i32::from(q & 15) - 8) as f32 * d;
            *h = (i32::from(q >> 4) - 8) as f32 * d;
        }
    }
}
