//! Rows of nothing but zeros.

use super::{Blame, Class, Finding, Sample};

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
         zero honestly."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let n = sample.values().len();
        if n < 2 || sample.profile.zero as usize != n {
            return None;
        }
        Some(sample.whole(self, 0.6, format!("all {n} values are zero")))
    }
}
