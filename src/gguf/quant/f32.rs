//! IEEE single precision.

use super::Format;

pub(super) const FORMAT: Format =
    Format { name: "F32", block_len: 1, block_bytes: 4, dequantize: Some(widen) };

fn widen(bytes: &[u8], out: &mut [f32]) {
    for (b, o) in bytes.as_chunks().0.iter().zip(out) {
        *o = f32::from_le_bytes(*b);
    }
}
