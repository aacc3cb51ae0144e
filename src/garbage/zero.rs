//! Rows of nothing but zeros.

use super::{Blame, Class, Finding, Sample};
use crate::model::Site;

pub(super) struct AllZero;

impl Class for AllZero {
    fn id(&self) -> &'static str {
        "all-zero"
    }

    fn glyph(&self) -> char {
        '0'
    }

    fn blame(&self) -> Blame {
        Blame::Engine
    }

    fn explain(&self) -> &'static str {
        "Every value is exactly zero. A kernel that was never launched, a buffer that was cleared and not \
         filled, or a logger that writes NaN as 0. The embedding of a token that was never trained may be \
         zero honestly, and without biases so is everything that is computed from it alone; that is nobody's \
         fault and said so."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let n = sample.values().len();
        // The probabilities that are recorded may be the small ones, which vanish.
        let promised = sample.tensor.shape.iter().map(|&n| n as usize).product::<usize>();
        let part = sample.checkpoint.site() == Site::KqSoftMax && n < promised;
        if n < 2 || part || sample.profile.zero as usize != n {
            return None;
        }
        Some(sample.whole(self, 0.6, format!("all {n} values are zero")))
    }
}
