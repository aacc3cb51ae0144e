//! What rounding a row as the input of a matrix product does to it: llama.cpp (and others) multiply
//! quantised weights with quantised activations. How much that loses depends on the row: one
//! channel that is far larger than its neighbours makes the step coarse for the whole block.

/// How activations are rounded before a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// Not at all (f32 or better).
    Kept,
    /// To f16 or bf16; the bits that are kept of the fraction.
    Short {
        /// 11 for f16, 8 for bf16.
        bits: u32,
    },
    /// To 8 bits in blocks with one scale, largest value / 127: Q8_0 and Q8_1 (32), Q8_K (256).
    Blocks {
        /// Values in a block.
        block: usize,
    },
}

impl Activations {
    /// Relative error, √(Σ(x̂−x)²/Σx²), that this rounding makes in `row`. Non-finite rows give 0.
    pub fn relative_error(self, row: &[f32]) -> f32 {
        match self {
            Self::Kept => 0.0,
            // Uniform within half a unit of the last bit, averaged over the binade.
            Self::Short { bits } => 0.41 * 2.0_f32.powi(-(bits as i32)),
            Self::Blocks { block } => blocks(row, block),
        }
    }
}

fn blocks(row: &[f32], block: usize) -> f32 {
    let (mut noise, mut signal) = (0.0_f64, 0.0_f64);
    for values in row.chunks(block) {
        let largest = values.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let square: f32 = values.iter().map(|x| x * x).sum();
        // A step of width s rounds with a variance of s²/12.
        let step = f64::from(largest) / 127.0;
        noise += step * step / 12.0 * values.len() as f64;
        signal += f64::from(square);
    }
    let error = (noise / signal).sqrt() as f32;
    if error.is_finite() { error } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    #[test]
    fn predicted_rounding_is_what_rounding_does() {
        let mut noise = Noise::new(2);
        for outlier in [1.0, 30.0] {
            let mut row = noise.row(4096);
            row[77] *= outlier;
            for block in [32, 256] {
                let mut lost = 0.0_f64;
                for values in row.chunks(block) {
                    let d = values.iter().fold(0.0_f32, |m, x| m.max(x.abs())) / 127.0;
                    lost += values.iter().map(|x| f64::from((x / d).round() * d - x).powi(2)).sum::<f64>();
                }
                let total: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
                let real = (lost / total).sqrt() as f32;
                let predicted = Activations::Blocks { block }.relative_error(&row);
                // 4096 rounding errors: the estimate of their size is good to a few per cent.
                assert!((predicted / real - 1.0).abs() < 0.1, "{block}: {predicted} {real}");
            }
        }
    }
}
