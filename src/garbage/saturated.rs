//! Values stuck at the largest f16.

use super::{Blame, Class, Finding, Sample};

pub(super) struct F16Saturated;

impl Class for F16Saturated {
    fn id(&self) -> &'static str {
        "f16-saturated"
    }

    fn glyph(&self) -> char {
        'S'
    }

    fn blame(&self) -> Blame {
        Blame::Engine
    }

    fn explain(&self) -> &'static str {
        "±65504 is the largest finite f16. A value that is exactly this was clamped there: some kernel \
         computes or stores in f16 what does not fit. Compute that operation in f32 or bf16, or scale its \
         inputs."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if sample.profile.saturated == 0 {
            return None;
        }
        let of = sample.values().len();
        sample.finding(
            self,
            |x| x.abs() == 65504.0,
            |first, count| {
                (0.95, format!("{count} of {of} values are exactly ±65504, the first in channel {first}"))
            },
        )
    }
}
