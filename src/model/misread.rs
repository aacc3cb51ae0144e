//! Blocks of quantised weights unpacked wrongly: for each type one mistake that an unpacking routine
//! can make, written as the bytes that a right routine would have to be given to make it.

use crate::gguf::WeightType;

/// What goes wrong with each type; `None` where no such mistake is known.
pub fn mistake(weight_type: WeightType) -> Option<&'static str> {
    Some(match weight_type {
        WeightType::Q4K | WeightType::Q5K | WeightType::Q2K => "the blocks' minimum is not subtracted",
        WeightType::Q6K => "the upper two bits of each value are left out",
        WeightType::Q3K => "the upper bit of each value is left out",
        WeightType::Q4_0 | WeightType::Iq4Nl => "low and high nibbles are exchanged",
        WeightType::Q8_0 => "the two halves of a block are read as interleaved",
        _ => return None,
    })
}

/// Rewrites whole blocks of `weight_type` so that reading them makes the mistake. Does nothing for a
/// type without one.
pub fn rewrite(weight_type: WeightType, bytes: &mut [u8]) {
    let block = weight_type.format().block_bytes;
    for block in bytes.chunks_exact_mut(block) {
        match weight_type {
            // Halves d, dmin come first.
            WeightType::Q4K | WeightType::Q5K => block[2..4].fill(0),
            // 16 scales, 64 values, halves d, dmin.
            WeightType::Q2K => block[82..84].fill(0),
            // 128 low parts, 64 high parts, 16 scales, half d.
            WeightType::Q6K => block[128..192].fill(0),
            // 32 high bits (set: nothing is subtracted), 64 low parts, scales, half d.
            WeightType::Q3K => block[..32].fill(0),
            WeightType::Q4_0 | WeightType::Iq4Nl => {
                block[2..].iter_mut().for_each(|b| *b = b.rotate_left(4));
            }
            WeightType::Q8_0 => {
                let quants: Vec<u8> = block[2..].to_vec();
                for (i, q) in block[2..].iter_mut().enumerate() {
                    *q = quants[i / 2 + i % 2 * (quants.len() / 2)];
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_changes_values_and_no_other_type_is_touched() {
        for weight_type in WeightType::ALL {
            let format = weight_type.format();
            let before: Vec<u8> = (0..format.block_bytes).map(|i| (i * 37 + 11) as u8 & 0x3b).collect();
            let mut after = before.clone();
            rewrite(weight_type, &mut after);
            let changed = match format.dequantize {
                None => before != after,
                Some(dequantize) => {
                    let widen = |bytes: &[u8]| {
                        let mut out = vec![0.0; format.block_len];
                        dequantize(bytes, &mut out);
                        out
                    };
                    widen(&before) != widen(&after)
                }
            };
            assert_eq!(changed, mistake(weight_type).is_some(), "{weight_type}");
        }
    }
}
