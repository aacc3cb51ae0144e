//! Finite values beyond anything a forward pass makes.

use super::profile::HUGE;
use super::{Blame, Class, Finding, Sample};

pub(super) struct Huge;

impl Class for Huge {
    fn id(&self) -> &'static str {
        "huge"
    }

    fn glyph(&self) -> char {
        'H'
    }

    fn blame(&self) -> Blame {
        Blame::Engine
    }

    fn explain(&self) -> &'static str {
        "Finite, but at least 1e9 in size. Trained models reach about 1e4 in a few channels and no more. \
         Either memory was read that holds something else (another type, a freed block, an index), or a sum \
         runs away: a missing norm, a scale applied twice, a residual added in every iteration."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if sample.profile.huge == 0 {
            return None;
        }
        let largest = sample.values().iter().filter(|x| x.is_finite()).map(|x| x.abs()).fold(0.0, f32::max);
        let of = sample.values().len();
        sample.finding(self, |x| x.is_finite() && x.abs() >= HUGE, |first, count| {
            (0.9, format!("{count} of {of} values are 1e9 or more in size (up to {largest:.1e}), the first in channel {first}"))
        })
    }
}
