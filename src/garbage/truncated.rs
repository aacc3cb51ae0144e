//! Records with fewer values than their shape promises.

use super::{Blame, Class, Finding, Sample};

pub(super) struct Truncated;

/// Its id.
pub(super) const ID: &str = "truncated";

impl Class for Truncated {
    fn id(&self) -> &'static str {
        ID
    }

    fn glyph(&self) -> char {
        '…'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "The record holds fewer values than its shape says. Loggers that print the first ten values do this; \
         what the rest was, nobody knows: ten values of 150,000 prove neither that a row is right nor that \
         it is wrong. Record every value, in a sidecar."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let there = sample.values().len();
        let promised: u64 = sample.tensor.shape.iter().map(|&n| u64::from(n)).product();
        if there == 0 || there as u64 >= promised {
            return None;
        }
        let mut finding = sample.whole(self, 0.5, format!("{there} of {promised} values recorded"));
        (finding.first_channel, finding.count) =
            (there as u32, (promised - there as u64).min(u32::MAX.into()) as u32);
        Some(finding)
    }
}
