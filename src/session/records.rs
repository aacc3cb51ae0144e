//! The newest records of both runs, in the order in which they were read.

use std::collections::VecDeque;
use std::time::Instant;

use super::which::Which;
use crate::trace::Arrival;

/// Records kept, of both runs together.
pub const KEPT: usize = 1000;

/// The newest records of both runs: never more than [`KEPT`], however long the traces are.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Oldest first.
    pub newest: VecDeque<Arrived>,
    /// Records read so far: reference, candidate.
    pub seen: [u64; 2],
}

/// One record of one run.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Counts the records of both runs, from 0, those passed over included.
    pub serial: u64,
    /// Whose it is.
    pub side: Which,
    /// When it was read.
    pub at: Instant,
    /// What was recorded.
    pub record: Arrival,
}

impl Records {
    /// Takes in what was read of one run: the newest records, and how many there were in all.
    pub(super) fn add(&mut self, side: Which, (newest, count): (VecDeque<Arrival>, u64), at: Instant) {
        let before: u64 = self.seen.iter().sum();
        self.seen[side.index()] += count;
        let first = before + count - newest.len() as u64;
        for (serial, record) in (first..).zip(newest) {
            if self.newest.len() == KEPT {
                self.newest.pop_front();
            }
            self.newest.push_back(Arrived { serial, side, at, record });
        }
    }
}
