//! What a pass over a trace found, in sums that do not grow with it.

use std::collections::BTreeMap;

use crate::garbage::{Across, Blame, Finding, Look, Watch};
use crate::model::Checkpoint;
use crate::stats::{Summary, Top};
use crate::trace::{Header, Notes, Stream};

/// Findings kept of each class; the rest is counted.
pub const KEPT: usize = 1000;
/// Positions with garbage that are kept one by one; the rest is counted.
const POSITIONS: usize = 4096;
/// Different runs of channels that are kept of a class.
const SPANS: usize = 64;
/// Unreadable records kept with their reason.
const UNREADABLE: usize = 100;
/// A finding less sure than this is shown and does not make a row garbage.
pub const LIKELY: f32 = 0.6;

/// A trace, looked at.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// The file, as it was named.
    pub path: String,
    /// The newest header.
    pub header: Option<Header>,
    /// Who computed it.
    pub team: String,
    /// What was odd about the file.
    pub notes: Notes,
    /// Whether the terminating line was there.
    pub ended: bool,
    /// Bytes of text.
    pub bytes: u64,
    /// Headers.
    pub runs: u64,
    /// Lines that void what was before; the records before them were looked at, too.
    pub rewinds: u64,
    /// Records whose values could be read.
    pub records: u64,
    /// Their values.
    pub values: u64,
    /// Values that their shapes promise.
    pub promised: u64,
    /// Smallest and largest position.
    pub positions: Option<(u32, u32)>,
    /// How often the position changed: the number of positions of a trace in order.
    pub steps: u64,
    /// Records that could not be read: how many, and the first with line and reason.
    pub unreadable: (u64, Vec<String>),
    /// By checkpoint: records, records with garbage.
    pub checkpoints: BTreeMap<Checkpoint, (u64, u64)>,
    /// By position: records with garbage; the first `POSITIONS` of them.
    pub bad_positions: BTreeMap<u32, u64>,
    /// By class.
    pub classes: BTreeMap<&'static str, ClassTally>,
    /// The first findings of each class with their position.
    pub findings: Vec<(u32, Finding)>,
    /// What rows show together.
    pub across: Vec<(Checkpoint, Across)>,
    /// Records with garbage, whoever is at fault.
    pub garbage: u64,
    /// Records that the logger spoilt.
    pub instrument: u64,
    /// Records that the engine computed wrong.
    pub engine: u64,
    /// Statistics, where they were asked for.
    pub stats: BTreeMap<Checkpoint, (Summary, Top)>,
    last_position: Option<u32>,
}

/// Findings of one class.
#[derive(Clone, Debug)]
pub struct ClassTally {
    /// Who is at fault.
    pub blame: Blame,
    /// Rows.
    pub rows: u64,
    /// Runs of channels, first and count, with the rows that have them.
    pub spans: BTreeMap<(u32, u32), u64>,
    /// First and last position.
    pub positions: (u32, u32),
    /// The most convincing finding and its position.
    pub best: (u32, Finding),
}

/// What follows from an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing but honest rows.
    Sound,
    /// Rows that were not recorded as they were computed.
    Instrument,
    /// Rows that no correct engine computes.
    Engine,
    /// Too little was recorded to say so.
    Partial,
}

impl Analysis {
    pub(super) fn add(&mut self, look: &Look, position: u32, full: u64, findings: Vec<Finding>) {
        self.records += 1;
        self.values += look.len as u64;
        // Of scores only the visible part was looked at.
        self.promised += if crate::compare::cell::is_per_position(look.checkpoint.site()) {
            look.len as u64
        } else {
            full
        };
        let (first, last) = self.positions.unwrap_or((position, position));
        self.positions = Some((first.min(position), last.max(position)));
        self.steps += u64::from(self.last_position.replace(position) != Some(position));
        let row = self.checkpoints.entry(look.checkpoint).or_default();
        row.0 += 1;
        if findings.is_empty() {
            return;
        }
        if let Some(blame) = Self::blamed(&findings) {
            row.1 += 1;
            self.garbage += 1;
            self.instrument += u64::from(blame == Blame::Instrument);
            self.engine += u64::from(blame == Blame::Engine);
            self.mark(position, 1);
        }
        for finding in findings {
            self.tally(position, finding);
        }
    }

    /// Who is to blame for a row with these findings. Values that were not recorded as computed say nothing of
    /// the engine.
    pub(super) fn blamed(findings: &[Finding]) -> Option<Blame> {
        let all = [Blame::Instrument, Blame::Engine];
        all.into_iter().find(|blame| findings.iter().any(|f| f.blame == *blame && is_garbage(f)))
    }

    /// Adds a finding of a row that was counted before, and for which `before` was blamed then.
    pub(super) fn add_late(&mut self, position: u32, finding: Finding, before: Option<Blame>) {
        let now = Self::blamed(std::slice::from_ref(&finding));
        if now.is_some() && before.is_none() {
            if let Some(row) = self.checkpoints.get_mut(&finding.checkpoint) {
                row.1 += 1;
            }
            self.garbage += 1;
            self.mark(position, 1);
        }
        if now == Some(Blame::Instrument) && before != now {
            self.instrument += 1;
            self.engine -= u64::from(before == Some(Blame::Engine));
        }
        self.engine += u64::from(now == Some(Blame::Engine) && before.is_none());
        self.tally(position, finding);
    }

    fn mark(&mut self, position: u32, rows: u64) {
        if self.bad_positions.len() < POSITIONS || self.bad_positions.contains_key(&position) {
            *self.bad_positions.entry(position).or_default() += rows;
        }
    }

    fn tally(&mut self, position: u32, finding: Finding) {
        let tally = self.classes.entry(finding.class).or_insert_with(|| ClassTally {
            blame: finding.blame,
            rows: 0,
            spans: BTreeMap::new(),
            positions: (position, position),
            best: (position, finding.clone()),
        });
        tally.rows += 1;
        let span = (finding.first_channel, finding.count);
        if tally.spans.len() < SPANS || tally.spans.contains_key(&span) {
            *tally.spans.entry(span).or_default() += 1;
        }
        tally.positions = (tally.positions.0.min(position), tally.positions.1.max(position));
        if finding.confidence > tally.best.1.confidence {
            tally.best = (position, finding.clone());
        }
        if tally.rows <= KEPT as u64 {
            self.findings.push((position, finding));
        }
    }

    pub(super) fn unreadable(&mut self, line: u64, problem: String) {
        self.unreadable.0 += 1;
        if self.unreadable.1.len() < UNREADABLE {
            // The message names file and line already.
            let _ = line;
            self.unreadable.1.push(problem);
        }
    }

    pub(super) fn describe(&mut self, stream: &Stream) {
        self.path = stream.path().display().to_string();
        self.header = stream.header().cloned();
        stream.team().unwrap_or_default().clone_into(&mut self.team);
        self.notes = stream.notes().clone();
        self.notes.waiting = self.unreadable.0;
        self.ended = stream.has_ended();
        self.bytes = stream.progress().0;
    }

    /// Adds what rows show together to what each shows by itself.
    pub(super) fn conclude(&mut self, watch: &Watch) {
        for (checkpoint, across) in watch.across() {
            let finding = across.finding(checkpoint);
            if finding.blame == Blame::Nobody {
                // Worth knowing, and nothing that makes a row garbage.
                self.across.push((checkpoint, across));
                continue;
            }
            // Rows of the same kind that were not garbage so far, and rows whose garbage was blamed on
            // the engine because nothing else was known of them.
            let fresh = u64::from(across.rows.saturating_sub(across.marked));
            self.garbage += fresh;
            self.instrument += fresh + u64::from(across.blamed_on_engine);
            self.engine = self.engine.saturating_sub(across.blamed_on_engine.into());
            if let Some(row) = self.checkpoints.get_mut(&checkpoint) {
                row.1 = (row.1 + fresh).min(row.0);
            }
            for &(class, rows) in &across.excused {
                if let Some(tally) = self.classes.get_mut(class) {
                    tally.rows = tally.rows.saturating_sub(rows.into());
                }
            }
            let others = u64::from(across.rows.saturating_sub(across.by_themselves));
            let known = across.positions.len() as u64;
            for &position in &across.positions {
                if fresh > 0 {
                    self.mark(position, 1);
                }
                self.tally(position, finding.clone());
            }
            if let Some(tally) = self.classes.get_mut(across.class) {
                tally.rows += others.saturating_sub(known);
                if finding.confidence >= tally.best.1.confidence || tally.best.1.blame != finding.blame {
                    tally.best = (across.positions.first().copied().unwrap_or(tally.best.0), finding);
                }
            }
            self.across.push((checkpoint, across));
        }
        self.classes.retain(|_, tally| tally.rows > 0);
        let classes = &self.classes;
        self.findings.retain(|(_, f)| classes.contains_key(f.class));
        self.findings.sort_by_key(|(position, f)| (*position, f.checkpoint));
    }

    /// Positions of the trace, if they came in order.
    pub fn position_count(&self) -> u64 {
        self.positions.map_or(0, |(first, last)| self.steps.min(u64::from(last - first) + 1))
    }

    /// Share of records with garbage.
    pub fn rate(&self) -> f64 {
        if self.records == 0 { 0.0 } else { self.garbage as f64 / self.records as f64 }
    }

    /// What follows.
    pub fn judgement(&self) -> Judgement {
        if self.instrument > 0 {
            Judgement::Instrument
        } else if self.engine > 0 {
            Judgement::Engine
        } else if self.values * 2 < self.promised || self.records == 0 {
            Judgement::Partial
        } else {
            Judgement::Sound
        }
    }
}

/// Whether a finding makes a row garbage. A record that is cut off holds right values, only fewer.
fn is_garbage(finding: &Finding) -> bool {
    finding.confidence >= LIKELY && finding.class != "truncated"
}
