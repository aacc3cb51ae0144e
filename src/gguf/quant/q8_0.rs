//! 32 signed bytes with one scale: half `d`, then the bytes. Value: q · d.

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Q8_0, 34, 32>("Q8_0");

struct Q8_0;

impl Block<34, 32> for Q8_0 {
    #[inline(always)]
    fn widen(block: &[u8; 34], out: &mut [f32; 32]) {
        let d = half_at(block, 0);
        for (o, &q) in out.iter_mut().zip(&block[2..]) {
            *o = f32::from(q as i8) * d;
        }
    }
}
