//! What a run's records are held against as they come: what was there before, and each other.

use std::collections::BTreeMap;

use super::rows::Shape;
use super::{Across, Blame, Finding, History, Profile, Repeat, Rows, Sample, across, stale};
use crate::model::{Checkpoint, Phase};

/// What has to be known of one row to hold it against others; small, so that rows may be looked at
/// in parallel and held against each other in order.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Where the row comes from.
    pub checkpoint: Checkpoint,
    /// Counts over its values.
    pub profile: Profile,
    /// Its number of values.
    pub len: usize,
    shape: Shape,
}

impl Look {
    /// What is kept of a row.
    pub fn of(sample: &Sample<'_>) -> Self {
        Self {
            checkpoint: sample.checkpoint,
            profile: sample.profile,
            len: sample.tensor.values.len(),
            shape: Shape::of(sample),
        }
    }
}

/// One run's records so far.
#[derive(Debug, Default)]
pub struct Watch {
    history: History,
    rows: BTreeMap<Checkpoint, Rows>,
    /// The latest position whose embedding is nothing but zeros.
    zero_input: Option<u32>,
}

impl Watch {
    /// Holds one row against those before it: adds to (or takes back from) the `findings` that it has by
    /// itself. Rows of one position come in order of execution. Returns the earlier row that it repeats, if
    /// that was added as a finding.
    pub fn observe(
        &mut self,
        look: &Look,
        position: u32,
        findings: &mut Vec<Finding>,
        token: impl Fn(u32) -> Option<u32>,
    ) -> Option<Repeat> {
        let at = look.checkpoint;
        let repeat = self.history.observe(at, position, look.profile.hash, look.len, token);
        let stale = repeat.and_then(|repeat| Some((repeat, stale::finding(look, &repeat)?)));
        let repeat = stale.map(|(repeat, finding)| {
            findings.push(finding);
            repeat
        });
        let blank = look.len > 1 && look.profile.zero as usize == look.len;
        if at.site().phase() == Phase::Input && blank {
            self.zero_input = Some(position);
        }
        let excused = blank && self.zero_input == Some(position);
        if excused {
            for finding in findings.iter_mut().filter(|f| f.class == "all-zero") {
                finding.blame = Blame::Nobody;
                finding.evidence.push_str(", as the token's embedding is");
            }
        } else {
            self.rows.entry(at).or_default().add(&look.shape, position, findings);
        }
        repeat
    }

    /// What rows show together, by checkpoint.
    pub fn across(&self) -> impl Iterator<Item = (Checkpoint, Across)> + '_ {
        self.rows.iter().flat_map(|(at, rows)| across(*at, rows).into_iter().map(|a| (*at, a)))
    }
}
