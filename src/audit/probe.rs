//! Probes: values that are only known up to a little, moved by that little at random.

use super::floor::EPSILON;
use crate::model::NodeId;

/// How a probe moves what was not recorded.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// What the random numbers depend on.
    pub seed: u64,
    /// Size of a move, as a share of a row's typical value.
    pub share: f64,
}

/// A stream of numbers that depends on nothing but its seed: SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64, id: NodeId, position: u32) -> Self {
        Self(seed ^ (u64::from(id.0) << 32 | u64::from(position)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Uniform in (−√3, √3): its square is 1 on average.
    pub fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        (unit * 2.0 - 1.0) * 3.0_f64.sqrt()
    }
}

/// The largest f32 rounding that recording a row costs its norm.
pub fn recording(values: &[f32], relative: f32, absolute: f32) -> f64 {
    let norm = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    norm * (f64::from(relative) + EPSILON) + f64::from(absolute) * (values.len() as f64).sqrt()
}
