//! Weight types with a minimum: w = scale · q − minimum. The parts are had by widening a row whose
//! quanta (or minima) are set to known values.

use crate::gguf::WeightType;

/// Where a block's quanta and its minimum's factor lie.
pub struct Layout {
    /// Bytes of a block.
    pub block: usize,
    /// Bytes that are 0 where every quantum is 0.
    pub quanta: std::ops::Range<usize>,
    /// Bytes that hold two nibbles each.
    pub nibbles: std::ops::Range<usize>,
    /// The f16 factor of the minima; empty where the type has a fixed zero point.
    pub factor: std::ops::Range<usize>,
}

/// The layout of a type, if it is known here.
pub fn layout(kind: WeightType) -> Option<Layout> {
    Some(match kind {
        WeightType::Q4_1 => Layout { block: 20, quanta: 4..20, nibbles: 4..20, factor: 2..4 },
        WeightType::Q5_1 => Layout { block: 24, quanta: 4..24, nibbles: 8..24, factor: 2..4 },
        WeightType::Q4K => Layout { block: 144, quanta: 16..144, nibbles: 16..144, factor: 2..4 },
        WeightType::Q5K => Layout { block: 176, quanta: 16..176, nibbles: 48..176, factor: 2..4 },
        WeightType::Q4_0 => Layout { block: 18, quanta: 2..18, nibbles: 2..18, factor: 0..0 },
        WeightType::Q5_0 => Layout { block: 22, quanta: 2..22, nibbles: 6..22, factor: 0..0 },
        WeightType::Q6K => Layout { block: 210, quanta: 0..192, nibbles: 0..128, factor: 0..0 },
        _ => return None,
    })
}

/// Whether `kind` has minima, or a zero point, that are known here.
pub fn has(kind: WeightType) -> bool {
    layout(kind).is_some()
}

/// Whether `kind` has a minimum of its own for each block.
pub fn has_factor(kind: WeightType) -> bool {
    layout(kind).is_some_and(|layout| !layout.factor.is_empty())
}

/// The part of each weight that is no multiple of its quantum (−minimum). False: the type has none.
pub fn minima(kind: WeightType, bytes: &[u8], out: &mut [f32]) -> bool {
    let (Some(layout), Some(widen)) = (layout(kind), kind.format().dequantize) else { return false };
    let mut changed = bytes.to_vec();
    for block in changed.chunks_mut(layout.block) {
        block[layout.quanta.clone()].fill(0);
    }
    widen(&changed, out);
    true
}

/// The scale of each weight: what one step of its quantum is worth.
pub fn scales(kind: WeightType, bytes: &[u8], out: &mut [f32]) -> bool {
    let (Some(layout), Some(widen)) = (layout(kind), kind.format().dequantize) else { return false };
    let mut changed = bytes.to_vec();
    for block in changed.chunks_mut(layout.block) {
        block[layout.quanta.clone()].fill(0);
        block[layout.nibbles.clone()].fill(0x11);
        block[layout.factor.clone()].fill(0);
    }
    widen(&changed, out);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_times_quantum_plus_minimum_is_the_weight() {
        // d = 0.5, dmin = 0.25, scale 3 and minimum 5 in each of the first four groups.
        let mut block = [0_u8; 144];
        block[..2].copy_from_slice(&::half::f16::from_f32(0.5).to_le_bytes());
        block[2..4].copy_from_slice(&::half::f16::from_f32(0.25).to_le_bytes());
        block[4..8].fill(3);
        block[8..12].fill(5);
        block[16..144].fill(0x72);
        let mut out = [[0.0_f32; 256]; 3];
        let widen = WeightType::Q4K.format().dequantize.unwrap();
        widen(&block, &mut out[0]);
        assert!(minima(WeightType::Q4K, &block, &mut out[1]));
        assert!(scales(WeightType::Q4K, &block, &mut out[2]));
        assert_eq!((out[0][0], out[1][0], out[2][0]), (1.5 * 2.0 - 1.25, -1.25, 1.5));
        assert_eq!((out[0][32], out[2][32]), (1.5 * 7.0 - 1.25, 1.5));
    }
}
