//! How ggml rounds rows that it stores in a quantised cache: blocks of 32 that share an f16 scale.

/// Values that share a scale.
pub const BLOCK: usize = 32;

/// Width of the matrix by which llama.cpp turns values before it stores them.
pub const TURN: usize = 64;

/// The levels of IQ4_NL.
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn half(x: f32) -> f32 {
    ::half::f16::from_f32(x).to_f32()
}

/// The value of largest size, with its sign; the first of several.
fn extreme(block: &[f64]) -> f32 {
    block.iter().map(|&x| x as f32).fold(0.0, |most: f32, x| if x.abs() > most.abs() { x } else { most })
}

/// Q4_0 and Q5_0: the value of largest size becomes −2^(bits − 1).
fn symmetric(block: &mut [f64], bits: u32) {
    let middle = (1_i32 << (bits - 1)) as f32;
    let scale = extreme(block) / -middle;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for x in block {
        let quantum = (*x as f32 * inverse + middle + 0.5).trunc().min(2.0 * middle - 1.0);
        *x = f64::from(quantum - middle) * f64::from(half(scale));
    }
}

/// Q4_1 and Q5_1: least and largest value are the ends of the scale.
fn ranged(block: &mut [f64], bits: u32) {
    let values = || block.iter().map(|&x| x as f32);
    let (least, most) = (values().fold(f32::MAX, f32::min), values().fold(f32::MIN, f32::max));
    let steps = ((1_i32 << bits) - 1) as f32;
    let scale = (most - least) / steps;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for x in block {
        let quantum = ((*x as f32 - least) * inverse + 0.5).trunc().min(steps);
        *x = f64::from(quantum) * f64::from(half(scale)) + f64::from(half(least));
    }
}

/// Q4_0.
pub fn q4_0(row: &mut [f64]) {
    row.chunks_mut(BLOCK).for_each(|block| symmetric(block, 4));
}

/// Q5_0.
pub fn q5_0(row: &mut [f64]) {
    row.chunks_mut(BLOCK).for_each(|block| symmetric(block, 5));
}

/// Q4_1.
pub fn q4_1(row: &mut [f64]) {
    row.chunks_mut(BLOCK).for_each(|block| ranged(block, 4));
}

/// Q5_1.
pub fn q5_1(row: &mut [f64]) {
    row.chunks_mut(BLOCK).for_each(|block| ranged(block, 5));
}

fn nearest_level(x: f32) -> f32 {
    let above = LEVELS.iter().position(|&level| f32::from(level) > x).unwrap_or(LEVELS.len());
    let (low, high) = (above.saturating_sub(1), above.min(LEVELS.len() - 1));
    let (low, high) = (f32::from(LEVELS[low]), f32::from(LEVELS[high]));
    if x - low < high - x { low } else { high }
}

/// IQ4_NL: levels are chosen with the largest value on the first level, then the scale is fitted to them, large
/// values weighing more.
pub fn iq4_nl(row: &mut [f64]) {
    /// Blocks below this are stored as zeros.
    const NOTHING: f32 = 1e-15;
    for block in row.chunks_mut(BLOCK) {
        let most = extreme(block);
        if most.abs() < NOTHING {
            block.fill(0.0);
            continue;
        }
        let inverse = 1.0 / (most / f32::from(LEVELS[0]));
        let (mut across, mut square) = (0.0_f32, 0.0_f32);
        for x in &mut *block {
            let value = *x as f32;
            let level = nearest_level(inverse * value);
            let weight = value * value;
            across += weight * level * value;
            square += weight * level * level;
            *x = level.into();
        }
        let scale = if square > 0.0 { across / square } else { 0.0 };
        for x in block {
            *x *= f64::from(half(scale));
        }
    }
}

/// The orthonormal Walsh-Hadamard transform of each `n` values in turn, in f32 and in the order of ggml's: llama.cpp
/// turns heads by it before it quantises them.
pub fn hadamard(row: &mut [f64], n: usize) {
    let scale = 1.0 / (n as f32).sqrt();
    for part in row.chunks_exact_mut(n) {
        for x in &mut *part {
            *x = f64::from(*x as f32 * scale);
        }
        let mut len = 1;
        while len < n {
            for pair in part.chunks_exact_mut(2 * len) {
                let (first, second) = pair.split_at_mut(len);
                for (u, v) in first.iter_mut().zip(second) {
                    let (a, b) = (*u as f32, *v as f32);
                    (*u, *v) = (f64::from(a + b), f64::from(a - b));
                }
            }
            len *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Vec<f64> {
        (0..64).map(|i| f64::from(((i * 37 % 64) as f32 - 20.0) / 7.0)).collect()
    }

    #[test]
    fn each_type_is_as_near_as_its_steps() {
        let far = |round: fn(&mut [f64])| {
            let (exact, mut rounded) = (row(), row());
            round(&mut rounded);
            exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        // Values from −2.9 to 6.1: a step is 6.1/8 (6.1/16) where the largest sets it, else 9/15 (9/31).
        // What lies beyond the last level of Q4_0 and Q5_0 is a whole step off at most.
        assert!(far(q4_0) <= 0.77 && far(q5_0) <= 0.39, "{} {}", far(q4_0), far(q5_0));
        assert!(far(q4_1) <= 0.31 && far(q5_1) <= 0.15, "{} {}", far(q4_1), far(q5_1));
        assert!(far(iq4_nl) <= 1.0, "{}", far(iq4_nl));
    }

    #[test]
    fn the_extremes_of_a_block_are_kept() {
        let mut block = vec![0.0; 32];
        (block[3], block[7]) = (-8.0, 3.0);
        let mut zero = block.clone();
        q4_0(&mut zero);
        assert_eq!((zero[3], zero[7], zero[0]), (-8.0, 3.0, 0.0));
        q4_1(&mut block);
        assert_eq!((block[3], block[7]), (-8.0, f64::from(half(11.0 / 15.0)) * 15.0 - 8.0));
    }

    #[test]
    fn turning_twice_is_turning_back() {
        let mut turned = row();
        hadamard(&mut turned, 64);
        assert!((turned[0] - row().iter().sum::<f64>() / 8.0).abs() < 1e-5);
        hadamard(&mut turned, 64);
        assert!(turned.iter().zip(row()).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
