//! How quickly records arrive.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::session::{Records, Which};

/// What rates are taken over.
const OVER: Duration = Duration::from_secs(2);
/// Below this nothing is said: a burst has no rate.
const LEAST: Duration = Duration::from_millis(100);

/// Records and bytes of both runs up to a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    records: [u64; 2],
    bytes: [f64; 2],
}

/// Sums of what arrived, sampled once a snapshot.
#[derive(Debug, Default)]
pub struct Rates {
    /// When the first record arrived.
    start: Option<Instant>,
    samples: VecDeque<Sample>,
    bytes: [f64; 2],
    next: u64,
}

impl Rates {
    /// Takes in what has arrived. Bytes of records that passed unseen are taken to be those of their
    /// neighbours.
    pub fn take_in(&mut self, records: &Records) {
        let Some(last) = records.newest.back() else { return };
        if last.serial < self.next {
            return;
        }
        self.start = self.start.or(records.newest.front().map(|r| r.at));
        let (mut seen, mut bytes) = ([0u64; 2], [0f64; 2]);
        for arrived in records.newest.iter().rev().take_while(|r| r.serial >= self.next) {
            seen[arrived.side.index()] += 1;
            bytes[arrived.side.index()] += arrived.record.bytes as f64;
        }
        let before = self.samples.back().map_or([0; 2], |s| s.records);
        for side in Which::BOTH.map(Which::index) {
            let all = records.seen[side].saturating_sub(before[side]);
            let share = if seen[side] > 0 { all as f64 / seen[side] as f64 } else { 0.0 };
            self.bytes[side] += bytes[side] * share;
        }
        self.next = last.serial + 1;
        self.samples.push_back(Sample { at: last.at, records: records.seen, bytes: self.bytes });
        while self.samples.get(1).is_some_and(|s| last.at.saturating_duration_since(s.at) > OVER) {
            self.samples.pop_front();
        }
    }

    /// When the first record arrived.
    pub fn start(&self) -> Option<Instant> {
        self.start
    }

    /// Bytes of a run's values so far.
    pub fn bytes(&self, side: Which) -> f64 {
        self.bytes[side.index()]
    }

    /// Records and bytes a second of one run, over the last seconds in which any arrived.
    pub fn of(&self, side: Which) -> Option<(f64, f64)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let time = last.at.saturating_duration_since(first.at);
        let at = side.index();
        (time >= LEAST).then(|| {
            let a_second = |x: f64| x / time.as_secs_f64();
            let records = last.records[at].saturating_sub(first.records[at]);
            (a_second(records as f64), a_second(last.bytes[at] - first.bytes[at]))
        })
    }
}
