//! Random blocks of a weight type whose values have mean 0 and a given spread. Nothing is quantised:
//! the codes are random bits, and the scales are chosen so that the values come out as wanted.

use super::random::Random;
use crate::gguf::WeightType;

/// Blocks that are widened to find the spread of a type's codes.
const SAMPLE: usize = 256;

/// Where a block keeps its half-precision scales: byte and factor on the block's scale. Codes that
/// are not symmetric around 0 get a minimum that makes their mean 0.
fn scales(weight_type: WeightType) -> &'static [(usize, f32)] {
    match weight_type {
        WeightType::Q4_1 => &[(0, 1.0), (2, -7.5)],
        WeightType::Q5_1 => &[(0, 1.0), (2, -15.5)],
        // Minima are subtracted in the K types.
        WeightType::Q2K => &[(80, 1.0), (82, 1.5)],
        WeightType::Q3K => &[(108, 1.0)],
        WeightType::Q4K => &[(0, 1.0), (2, 7.5)],
        WeightType::Q5K => &[(0, 1.0), (2, 15.5)],
        WeightType::Q6K => &[(208, 1.0)],
        _ => &[(0, 1.0)],
    }
}

/// Whether the scale changes its sign from block to block, because the codes' mean is not quite 0.
fn signed(weight_type: WeightType) -> bool {
    matches!(weight_type, WeightType::Q4_0 | WeightType::Q5_0 | WeightType::Iq4Nl | WeightType::Iq4Xs)
}

/// Makes the values of one tensor.
pub struct Maker {
    weight_type: WeightType,
    /// Mean of the values; only for types that are not blocks.
    mean: f32,
    /// Spread of the values, or the blocks' scale that gives it.
    scale: f32,
}

impl Maker {
    /// Values with this standard deviation. `mean` is kept by F32, F16 and BF16 only.
    pub fn new(weight_type: WeightType, mean: f32, deviation: f32) -> Self {
        let mut maker = Self { weight_type, mean, scale: 1.0 };
        maker.scale = if maker.is_plain() { deviation } else { deviation / maker.spread() };
        maker
    }

    fn is_plain(&self) -> bool {
        matches!(self.weight_type, WeightType::F32 | WeightType::F16 | WeightType::Bf16)
    }

    /// Root mean square of the values of blocks with scale 1.
    fn spread(&self) -> f32 {
        let format = self.weight_type.format();
        let Some(dequantize) = format.dequantize else { return 1.0 };
        let mut bytes = vec![0; SAMPLE * format.block_bytes];
        self.fill(&mut Random::new(1, format.name), &mut bytes);
        let mut values = vec![0.0; SAMPLE * format.block_len];
        dequantize(&bytes, &mut values);
        let squares: f64 = values.iter().map(|&v| v as f64 * v as f64).sum();
        (squares / values.len() as f64).sqrt() as f32
    }

    /// Fills `bytes` with whole blocks.
    pub fn fill(&self, random: &mut Random, bytes: &mut [u8]) {
        match self.weight_type {
            WeightType::F32 => {
                bytes.as_chunks_mut().0.iter_mut().for_each(|b| *b = self.value(random).to_le_bytes());
            }
            WeightType::F16 => {
                let half = |v| half::f16::from_f32(v).to_le_bytes();
                bytes.as_chunks_mut().0.iter_mut().for_each(|b| *b = half(self.value(random)));
            }
            WeightType::Bf16 => {
                let half = |v| half::bf16::from_f32(v).to_le_bytes();
                bytes.as_chunks_mut().0.iter_mut().for_each(|b| *b = half(self.value(random)));
            }
            _ => {
                random.fill(bytes);
                for block in bytes.chunks_exact_mut(self.weight_type.format().block_bytes) {
                    self.set_scale(random, block);
                }
            }
        }
    }

    fn value(&self, random: &mut Random) -> f32 {
        self.mean + self.scale * random.normal()
    }

    fn set_scale(&self, random: &mut Random, block: &mut [u8]) {
        let scale = self.scale * random.between(0.75, 1.25);
        if self.weight_type == WeightType::Mxfp4 {
            // A power of two, stored with an offset of 127.
            block[0] = (127.0 + scale.log2()).round().clamp(1.0, 253.0) as u8;
            return;
        }
        let scale = if signed(self.weight_type) && random.bits() & 1 == 0 { -scale } else { scale };
        for &(at, factor) in scales(self.weight_type) {
            block[at..at + 2].copy_from_slice(&half::f16::from_f32(scale * factor).to_le_bytes());
        }
        if self.weight_type == WeightType::Q8_0 {
            // Quantisers keep to ±127.
            block[2..].iter_mut().filter(|b| **b == 0x80).for_each(|b| *b = 0x81);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_mean_0_and_the_wanted_spread() {
        for weight_type in WeightType::ALL {
            let format = weight_type.format();
            let Some(dequantize) = format.dequantize else { continue };
            for deviation in [0.008_f32, 1.0] {
                let n = 200_000_usize.div_ceil(format.block_len);
                let mut bytes = vec![0; n * format.block_bytes];
                Maker::new(weight_type, 0.0, deviation).fill(&mut Random::new(3, "t"), &mut bytes);
                let mut values = vec![0.0; n * format.block_len];
                dequantize(&bytes, &mut values);
                let n = values.len() as f32;
                let mean = values.iter().sum::<f32>() / n;
                let rms = (values.iter().map(|v| v * v).sum::<f32>() / n).sqrt();
                // Blocks share scales and minima: some hundred independent numbers in the worst case.
                assert!(mean.abs() < 0.06 * deviation, "{weight_type}: mean {mean} for {deviation}");
                // MXFP4 scales by powers of two only.
                let slack = if weight_type == WeightType::Mxfp4 { 1.45 } else { 1.08 };
                let ratio = rms / deviation;
                assert!((1.0 / slack..slack).contains(&ratio), "{weight_type}: {ratio} for {deviation}");
            }
        }
    }
}
