//! 32 indices into a table of uneven steps with one scale: half `d`, then 16 bytes; low nibbles are the
//! first 16 values. Value: d · table\[q\].

use super::{Block, Format, half_at};

pub(super) const FORMAT: Format = Format::of::<Iq4Nl, 18, 32>("IQ4_NL");

/// ggml-common.h's `kvalues_iq4nl`: part of the format.
pub(super) const TABLE: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

struct Iq4Nl;

impl Block<18, 32> for Iq4Nl {
    #[inline(always)]
    fn widen(block: &[u8; 18], out: &mut [f32; 32]) {
        let d = half_at(block, 0);
        let (low, high) = out.split_at_mut(16);
        for ((l, h), &q) in low.iter_mut().zip(high).zip(&block[2..]) {
            *l = d * f32::from(TABLE[usize::from(q & 15)]);
            *h = d * f32::from(TABLE[usize::from(q >> 4)]);
        }
    }
}
