//! One model of a survey, with what came of it.

use super::plan::Entry;
use super::result::Measured;
use super::study;

/// A model with what is known of it, or why nothing is.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The model.
    pub entry: Entry,
    /// The figures, or what went wrong.
    pub outcome: Result<Measured, String>,
}

impl Surveyed {
    /// Exit code of this model alone: that of its verdict, 2 where it failed.
    pub fn exit_code(&self) -> u8 {
        self.outcome.as_ref().map_or(2, |measured| measured.verdict.exit_code)
    }

    pub(super) fn published(&self) -> Option<&'static study::Row> {
        study::row(&self.outcome.as_ref().ok()?.kind)
    }
}
