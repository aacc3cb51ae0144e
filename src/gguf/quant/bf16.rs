//! The upper half of a single.

use super::Format;

pub(super) const FORMAT: Format =
    Format { name: "BF16", block_len: 1, block_bytes: 2, dequantize: Some(widen) };

fn widen(bytes: &[u8], out: &mut [f32]) {
    for (b, o) in bytes.as_chunks().0.iter().zip(out) {
        *o = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
    }
}
