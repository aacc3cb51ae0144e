//! Rows of one repeated value.

use super::{Blame, Class, Finding, Sample};
use crate::model::Site;

pub(super) struct ConstantRow;

/// Fewer values than this may be equal by chance (a row of few recorded values).
const SHORTEST: usize = 8;

impl Class for ConstantRow {
    fn id(&self) -> &'static str {
        "constant-row"
    }

    fn glyph(&self) -> char {
        '='
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "Every value has the same bits, and they are not zero. No forward pass ends like that: a buffer was \
         recorded that is filled with one value and was not computed yet, or the logger's index does not \
         advance. (A kernel that broadcasts one value where a row was meant looks the same; the rows behind it \
         are then constant or worse, too.) Attention probabilities may be uniform honestly and are not looked at."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let n = sample.values().len();
        let varies = sample.profile.same_as_first as usize != n;
        if n < SHORTEST
            || varies
            || sample.profile.zero > 0
            || sample.profile.nan > 0
            || matches!(sample.checkpoint.site(), Site::Kq | Site::KqSoftMax)
        {
            return None;
        }
        Some(sample.whole(self, 0.8, format!("all {n} values are {:e}", sample.values()[0])))
    }
}
