//! What is known of a checkpoint without its values.

use bytemuck::{Pod, Zeroable};

use super::{EngineError, Tap};
use crate::model::Checkpoint;
use crate::stats::Moments;

/// Statistics of one checkpoint at one position. As the GPU leaves them (`cuda/statistics.cu`).
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Statistics {
    /// Smallest finite value; +∞ of none.
    pub min: f32,
    /// Largest finite value; −∞ of none.
    pub max: f32,
    /// Root of the mean square of the finite values; 0 of none.
    pub rms: f64,
    /// NaN and infinities.
    pub non_finite: u64,
}

impl Statistics {
    /// Of these values.
    pub fn of(values: &[f32]) -> Self {
        let mut moments = Moments::default();
        moments.add(values);
        Self {
            min: moments.min,
            max: moments.max,
            rms: moments.rms().unwrap_or(0.0),
            non_finite: moments.nan + moments.infinite,
        }
    }
}

/// Reduces values on their way to whoever wants statistics, for engines that do not reduce them.
pub struct Reduce<'a>(pub &'a mut dyn Tap);

impl Tap for Reduce<'_> {
    fn position(&mut self, position: usize) {
        self.0.position(position);
    }

    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        self.0.statistics(checkpoint, op, shape, &Statistics::of(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_counted_and_left_out() {
        let s = Statistics::of(&[3.0, f32::NAN, -4.0, f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!((s.min, s.max, s.rms, s.non_finite), (-4.0, 3.0, 12.5_f64.sqrt(), 3));
        let none = Statistics::of(&[f32::NAN]);
        assert_eq!(
            (none.min, none.max, none.rms, none.non_finite),
            (f32::INFINITY, f32::NEG_INFINITY, 0.0, 1)
        );
    }
}
