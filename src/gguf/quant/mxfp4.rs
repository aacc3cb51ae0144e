//! OCP microscaling: 32 four-bit floats (E2M1) with a power of two: a byte `e`, then 16 bytes; low
//! nibbles are the first 16 values. Value: twice the float (the table) · 2^(e − 128).

use super::{Block, Format};

pub(super) const FORMAT: Format = Format::of::<Mxfp4, 17, 32>("MXFP4");

/// Twice the sixteen E2M1 numbers, so that all are whole.
const TABLE: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

struct Mxfp4;

impl Block<17, 32> for Mxfp4 {
    #[inline(always)]
    fn widen(block: &[u8; 17], out: &mut [f32; 32]) {
        let d = half_of_power(block[0]);
        let (low, high) = out.split_at_mut(16);
        for ((l, h), &q) in low.iter_mut().zip(high).zip(&block[1..]) {
            *l = f32::from(TABLE[usize::from(q & 15)]) * d;
            *h = f32::from(TABLE[usize::from(q >> 4)]) * d;
        }
    }
}

/// 2^(e − 128). The two smallest are denormal; 255, which the format calls NaN, is 2^127 as in llama.cpp.
#[inline(always)]
fn half_of_power(e: u8) -> f32 {
    f32::from_bits(match e {
        0 | 1 => 0x0020_0000 << e,
        _ => u32::from(e - 1) << 23,
    })
}
