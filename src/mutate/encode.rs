//! Storing changed values in a tensor's own type. Floats and Q8_0 are written; of other types a row can be
//! scaled by its blocks' scales, reordered, or left as it is.

pub(super) use super::edit::row_factor as factor;
use crate::gguf::WeightType;
use crate::model::view::{ValueChange, View};

/// Whether a tensor of this type can hold what `view` makes of it.
pub fn can_hold(weight_type: WeightType, view: &View) -> bool {
    match view {
        View::Rows(_) | View::Misread(_) => true,
        View::Values(ValueChange::Scaled(_) | ValueChange::Rows { .. }) => {
            is_written(weight_type) || !scales(weight_type).is_empty()
        }
        View::Transposed | View::Values(_) => is_written(weight_type),
    }
}

/// Whether values can be written in this type.
pub(super) fn is_written(weight_type: WeightType) -> bool {
    matches!(weight_type, WeightType::F32 | WeightType::F16 | WeightType::Bf16 | WeightType::Q8_0)
}

/// Where the half-precision scales (and minima) of a block lie that all of its values are proportional to.
fn scales(weight_type: WeightType) -> &'static [usize] {
    match weight_type {
        WeightType::Q4_0 | WeightType::Q5_0 | WeightType::Q8_0 | WeightType::Iq4Nl | WeightType::Iq4Xs => {
            &[0]
        }
        WeightType::Q4_1 | WeightType::Q5_1 | WeightType::Q4K | WeightType::Q5K => &[0, 2],
        WeightType::Q2K => &[80, 82],
        WeightType::Q3K => &[108],
        WeightType::Q6K => &[208],
        _ => &[],
    }
}

/// Multiplies whole blocks by their scales alone; false for types without such. A factor of 1 changes no bit.
pub fn scale(weight_type: WeightType, bytes: &mut [u8], factor: f32) -> bool {
    if factor == 1.0 {
        return true;
    }
    let places = scales(weight_type);
    for block in bytes.chunks_exact_mut(weight_type.format().block_bytes) {
        for &at in places {
            let scale = half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
            block[at..at + 2].copy_from_slice(&half::f16::from_f32(scale * factor).to_le_bytes());
        }
    }
    !places.is_empty()
}

/// Writes one row into `bytes`, which has its length. Does nothing for a type that is not written.
pub fn encode(weight_type: WeightType, values: &[f32], bytes: &mut [u8]) {
    match weight_type {
        WeightType::F32 => {
            bytes.as_chunks_mut().0.iter_mut().zip(values).for_each(|(b, v)| *b = v.to_le_bytes());
        }
        WeightType::F16 => {
            let halves = values.iter().map(|v| half::f16::from_f32(*v).to_le_bytes());
            bytes.as_chunks_mut().0.iter_mut().zip(halves).for_each(|(b, v)| *b = v);
        }
        WeightType::Bf16 => {
            let halves = values.iter().map(|v| half::bf16::from_f32(*v).to_le_bytes());
            bytes.as_chunks_mut().0.iter_mut().zip(halves).for_each(|(b, v)| *b = v);
        }
        WeightType::Q8_0 => {
            for (block, values) in bytes.chunks_exact_mut(34).zip(values.chunks_exact(32)) {
                let most = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let d = most / 127.0;
                let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
                block[..2].copy_from_slice(&half::f16::from_f32(d).to_le_bytes());
                for (q, v) in block[2..].iter_mut().zip(values) {
                    *q = (v * inverse).round() as i8 as u8;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_types_read_back() {
        let values: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        // Half a unit in the last place of f16, bf16; half a step of 1/127 of the largest value.
        for (ty, error) in [
            (WeightType::F32, 0.0),
            (WeightType::F16, 3.0 / 2048.0),
            (WeightType::Bf16, 3.0 / 256.0),
            (WeightType::Q8_0, 3.1 / 254.0),
        ] {
            let format = ty.format();
            let mut bytes = vec![0; 64 / format.block_len * format.block_bytes];
            encode(ty, &values, &mut bytes);
            let mut back = vec![0.0; 64];
            format.dequantize.unwrap()(&bytes, &mut back);
            let worst = values.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= error, "{ty}: {worst}");
        }
    }

    #[test]
    fn scales_scale_every_value_of_every_type() {
        for ty in WeightType::ALL {
            let format = ty.format();
            let (Some(dequantize), false) = (format.dequantize, scales(ty).is_empty()) else { continue };
            let mut bytes: Vec<u8> = (0..format.block_bytes).map(|i| (i * 37 + 11) as u8 & 0x3b).collect();
            for &at in scales(ty) {
                bytes[at..at + 2].copy_from_slice(&half::f16::from_f32(0.7).to_le_bytes());
            }
            let widen = |bytes: &[u8]| {
                let mut out = vec![0.0; format.block_len];
                dequantize(bytes, &mut out);
                out
            };
            let before = widen(&bytes);
            assert!(scale(ty, &mut bytes, 0.5));
            let after = widen(&bytes);
            let most = before.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (b, a) in before.iter().zip(&after) {
                // Halving a normal scale is exact; the terms of a difference are rounded once each.
                assert!((b * 0.5 - a).abs() <= most * 1e-6, "{ty}: {b} {a}");
            }
            assert!(most > 0.0, "{ty}");
        }
    }
}
