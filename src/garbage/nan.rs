//! Not a number.

use super::{Blame, Class, Finding, Sample};

pub(super) struct NotANumber;

impl Class for NotANumber {
    fn id(&self) -> &'static str {
        "nan"
    }

    fn glyph(&self) -> char {
        'N'
    }

    fn blame(&self) -> Blame {
        Blame::Engine
    }

    fn explain(&self) -> &'static str {
        "NaN comes from 0/0, ∞−∞, 0·∞ or the root of a negative number, and spreads through everything \
         computed from it. The usual origin is an overflow to infinity a few operations earlier (f16 scores \
         of attention), a row whose every score is masked, or memory that was never written. Look at the \
         first checkpoint in order of execution that has one."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if sample.profile.nan == 0 {
            return None;
        }
        let of = sample.values().len();
        sample.finding(self, f32::is_nan, |first, count| {
            (1.0, format!("{count} of {of} values are NaN, the first in channel {first}"))
        })
    }
}
