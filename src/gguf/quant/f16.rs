//! IEEE half precision.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::Format;

pub(super) const FORMAT: Format =
    Format { name: "F16", block_len: 1, block_bytes: 2, dequantize: Some(widen) };

fn widen(bytes: &[u8], out: &mut [f32]) {
    let n = out.len().min(bytes.len() / 2);
    let (bytes, out) = (&bytes[..2 * n], &mut out[..n]);
    // Tensor data is aligned in the map; whoever passes other bytes gets the same values more slowly.
    match bytemuck::try_cast_slice::<u8, f16>(bytes) {
        Ok(halves) if cfg!(target_endian = "little") => halves.convert_to_f32_slice(out),
        _ => {
            for (b, o) in bytes.as_chunks().0.iter().zip(out) {
                *o = f16::from_le_bytes(*b).to_f32();
            }
        }
    }
}
