//! Blocks of every weight type: random, with odd scales among them, the same on every run.

use paritty::gguf::WeightType;

const BLOCKS: usize = 4096;

/// Bit patterns that scales of half precision take in turn: zeros, denormals, limits, infinities, NaN.
const ODD_HALVES: [u16; 14] = [
    0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x83ff, 0x0400, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x7c01,
    0xfe01,
];

/// SplitMix64: the same blocks on every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Random blocks; in every second one, each pair of bytes takes an odd half now and then, so that the
/// scales do, wherever they lie in the block.
pub fn random(weight_type: WeightType) -> Vec<u8> {
    let mut rng = Rng(u64::from(weight_type.id()));
    let size = weight_type.format().block_bytes;
    let n = if weight_type.format().block_len == 1 { BLOCKS * 32 } else { BLOCKS };
    let mut bytes: Vec<u8> = (0..n * size).map(|_| rng.next() as u8).collect();
    for block in bytes.chunks_exact_mut(size).step_by(2) {
        for pair in block.chunks_exact_mut(2) {
            if rng.next().is_multiple_of(4) {
                let odd = ODD_HALVES[rng.next() as usize % ODD_HALVES.len()];
                pair.copy_from_slice(&odd.to_le_bytes());
            }
        }
    }
    bytes
}
