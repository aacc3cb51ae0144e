//! Infinities, where they do not belong.

use super::{Blame, Class, Finding, Sample};
use crate::model::{Checkpoint, Site};

pub(super) struct Infinite;

impl Class for Infinite {
    fn id(&self) -> &'static str {
        "inf"
    }

    fn glyph(&self) -> char {
        '∞'
    }

    fn blame(&self) -> Blame {
        Blame::Engine
    }

    fn explain(&self) -> &'static str {
        "An infinity is an overflow: of f16 (beyond 65504) in attention scores or in the feed-forward block \
         of models with large activations, or of an exponential without its maximum subtracted. NaN follows \
         a few operations later. −∞ in attention scores is the mask, and a logit of −∞ rules a token out; \
         neither is reported."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if sample.profile.infinite == 0 {
            return None;
        }
        let masks = sample.checkpoint.site() == Site::Kq || sample.checkpoint == Checkpoint::LOGITS;
        let hit = |x: f32| x == f32::INFINITY || (x == f32::NEG_INFINITY && !masks);
        let of = sample.values().len();
        sample.finding(self, hit, |first, count| {
            (1.0, format!("{count} of {of} values are infinite, the first in channel {first}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};

    #[test]
    fn a_mask_is_not_an_overflow() {
        let row = tensor(vec![1.0, f32::NEG_INFINITY, 2.0]);
        assert!(classes("kq-0", &row).is_empty());
        assert_eq!(classes("l_out-0", &row), ["inf"]);
        assert_eq!(classes("kq_soft_max-0", &row), ["inf"]);
        assert_eq!(classes("kq-0", &tensor(vec![1.0, f32::INFINITY])), ["inf"]);
    }
}
