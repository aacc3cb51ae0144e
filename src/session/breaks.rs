//! Where runs pause: the conditions in force, and how far they were looked at.

use super::Stop;
use super::stop::Seen;
use crate::compare::Verdict;

/// Conditions in force.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    /// What the present run pauses at.
    pub until: Option<Stop>,
    /// What any run pauses at.
    pub points: Vec<Stop>,
    /// Positions before this one were looked at.
    pub checked: u32,
    /// Whether the runs were known to part then.
    pub parted: bool,
    /// Where a condition ended the last run, and which.
    pub stopped: Option<(u32, String)>,
}

impl Breaks {
    /// Whether anything could end a run.
    pub fn any(&self) -> bool {
        self.until.is_some() || !self.points.is_empty()
    }

    /// The first condition that holds, in words; that of the run first.
    pub fn holds(&self, seen: &Seen<'_>) -> Option<String> {
        self.until.iter().chain(&self.points).find_map(|stop| stop.holds(seen))
    }

    /// Positions from `position` on are computed anew.
    pub fn back(&mut self, position: u32, verdict: &Verdict) {
        if position < self.checked {
            self.checked = position;
            self.parted = matches!(verdict, Verdict::Diverged { first, .. } if first.position < position);
        }
    }

    /// Ends the run at `position` for this reason.
    pub fn stop(&mut self, position: u32, reason: String) {
        self.until = None;
        self.stopped = Some((position, reason));
    }
}
