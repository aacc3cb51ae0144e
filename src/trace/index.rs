//! What a trace says, without its values: tokens and cells by position.

use std::collections::{BTreeMap, BTreeSet};

use super::Header;
use super::arrivals::Arrivals;
use super::cell::{Cell, Notes, Place, Token};
use super::cells::Cells;
use super::entry::{Entry, Shapes};
use super::limits::MAX_QUOTE;
use super::names::Names;
use super::record::{RawPlace, Record, TensorRecord};
use super::sidecar::Sidecar;
use crate::model::{Checkpoint, Sequence};

/// Everything known about one position.
#[derive(Debug, Default)]
pub struct Column {
    pub token: Option<Token>,
    /// Whether the writer said that it is complete.
    pub complete: bool,
    /// What was recorded.
    pub cells: Cells,
}

/// What one line changed beyond its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A header was read; its sidecar has to be looked at.
    Header,
    /// The same, and everything recorded before it belongs to an earlier run.
    NewRun,
}

/// The index of one run.
#[derive(Debug, Default)]
pub struct Index {
    pub header: Option<Header>,
    /// `team` of the first record that has one.
    pub team: Option<String>,
    pub columns: BTreeMap<u32, Column>,
    pub ended: bool,
    pub notes: Notes,
    pub arrivals: Arrivals,
    /// Positions with something new since [`Index::take_changed`].
    changed: BTreeSet<u32>,
    /// The position last put into `changed`.
    latest: Option<u32>,
    /// Whether anything but headers was recorded.
    begun: bool,
    /// Whether any position was said to be complete: then the others are not.
    says_complete: bool,
    /// End of the sidecar bytes of cells whose bytes are not there yet.
    waiting: BTreeMap<(u32, Checkpoint), u64>,
    shapes: Shapes,
    /// Checkpoints of the position that was packed last.
    usual: Sequence,
    /// Columns that the writer said are complete.
    complete: usize,
    names: Names,
}

impl Index {
    /// Takes in one record of line `number`, which starts at byte `offset` of the text.
    pub fn apply(&mut self, record: Record<'_>, number: u64, offset: u64, sidecar: &mut Sidecar) -> Effect {
        let fresh = !std::mem::replace(&mut self.begun, true);
        match record {
            Record::Header { header, problem } => {
                if !fresh {
                    self.forget_run();
                    self.notes.earlier_runs += 1;
                }
                if let Some(problem) = problem.or_else(|| header.sidecar_problem()) {
                    self.notes.note(number, problem);
                }
                self.begun = false;
                self.header = Some(*header);
                return if fresh { Effect::Header } else { Effect::NewRun };
            }
            Record::Token { position, id, piece, from_prompt, columns } => {
                let from_prompt = from_prompt.unwrap_or_else(|| {
                    self.header.as_ref().and_then(|h| h.n_prompt).is_none_or(|n| position < n)
                });
                self.column(position).token = Some(Token { id, piece, from_prompt, columns });
            }
            Record::Tensor(record) => self.tensor(&record, number, offset, sidecar),
            Record::Complete(position) => {
                if !self.says_complete {
                    self.says_complete = true;
                    self.changed.extend(self.columns.keys());
                }
                let column = self.column(position);
                let before = std::mem::replace(&mut column.complete, true);
                self.complete += usize::from(!before);
                self.pack(position);
            }
            Record::Rewind(position) => self.rewind(position),
            Record::End => {
                self.ended = true;
                self.changed.extend(self.columns.iter().filter(|(_, c)| !c.complete).map(|(p, _)| p));
            }
        }
        Effect::None
    }

    fn tensor(&mut self, record: &TensorRecord<'_>, number: u64, offset: u64, sidecar: &mut Sidecar) {
        if self.team.is_none()
            && let Some(team) = record.team
        {
            let inner = team.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(team);
            self.team = Some(String::from_utf8_lossy(&inner[..inner.len().min(MAX_QUOTE)]).into_owned());
        }
        let place = match record.place {
            RawPlace::Line(start, bytes) => {
                Place::Text { offset: offset + start as u64, bytes: bytes as u32 }
            }
            RawPlace::Sidecar(offset) => {
                if let Some(problem) = sidecar.refusal() {
                    return self.skip(number, problem);
                }
                Place::Sidecar { offset }
            }
        };
        let Some(checkpoint) = self.names.checkpoint(&record.name) else {
            return self.notes.foreign(&record.name);
        };
        let Some((shape_number, shape)) = self.shapes.take(record.shape.axes()) else {
            return self.skip(number, "shape: more different shapes than can be kept");
        };
        let cell = Cell { shape, dtype: record.dtype, line: number, len: record.len, place };
        self.notes.partial += u64::from(cell.is_partial());
        self.arrivals.add(record, checkpoint, &cell);

        let key = (record.position, checkpoint);
        self.waiting.remove(&key);
        if let Some(end) = cell.sidecar_end()
            && !sidecar.covers(end)
        {
            self.waiting.insert(key, end);
        }
        self.notes.waiting = self.waiting.len() as u64;

        let entry = Entry::new(checkpoint, &cell, shape_number);
        self.mark(record.position);
        let column = self.columns.entry(record.position).or_default();
        if let Some(old) = column.cells.insert(entry, &self.shapes) {
            self.notes.duplicates += 1;
            self.notes.partial -= u64::from(old.cell(&self.shapes).is_partial());
        }
    }

    /// Makes the index of a position small, of which nothing more is expected.
    fn pack(&mut self, position: u32) {
        if let Some(column) = self.columns.get_mut(&position) {
            column.cells.pack(&self.shapes, &mut self.usual);
        }
    }

    /// The column at `position`, which is marked as changed.
    fn column(&mut self, position: u32) -> &mut Column {
        self.mark(position);
        self.columns.entry(position).or_default()
    }

    /// Marks a position as changed.
    fn mark(&mut self, position: u32) {
        // A later position may make the last one complete (see `is_complete`).
        if !self.says_complete
            && let Some((&last, _)) = self.columns.last_key_value()
            && last < position
        {
            self.changed.insert(last);
            self.pack(last);
        }
        // Lines of one position follow each other, so the set is rarely asked.
        if self.latest != Some(position) {
            self.latest = Some(position);
            self.changed.insert(position);
        }
    }

    /// Whether nothing more is to come for `position`: the writer said so, or the trace has ended,
    /// or the writer never says so and has begun a later position (unless both may come from one
    /// batch).
    pub fn is_complete(&self, position: u32) -> bool {
        let Some(column) = self.columns.get(&position) else { return false };
        let alone = || column.token.as_ref().and_then(|t| t.columns).is_none_or(|n| n <= 1);
        let later = || self.columns.last_key_value().is_some_and(|(&last, _)| last > position);
        self.ended || column.complete || (!self.says_complete && later() && alone())
    }

    /// Positions of which nothing more is to come, see [`Index::is_complete`].
    pub fn complete(&self) -> usize {
        match (self.ended, self.says_complete) {
            (true, _) => self.columns.len(),
            (false, true) => self.complete,
            (false, false) => self.columns.keys().filter(|&&p| self.is_complete(p)).count(),
        }
    }

    /// The entry of one cell.
    fn entry(&self, position: u32, checkpoint: Checkpoint) -> Option<Entry> {
        self.columns.get(&position)?.cells.get(checkpoint, &self.shapes)
    }

    /// One cell.
    pub fn cell(&self, position: u32, checkpoint: Checkpoint) -> Option<Cell> {
        self.entry(position, checkpoint).map(|entry| entry.cell(&self.shapes))
    }

    /// The line of one cell's record.
    pub fn line(&self, position: u32, checkpoint: Checkpoint) -> Option<u64> {
        self.entry(position, checkpoint).map(|entry| entry.line())
    }

    fn rewind(&mut self, position: u32) {
        for (position, column) in self.columns.split_off(&position) {
            self.changed.insert(position);
            self.complete -= usize::from(column.complete);
            for entry in column.cells.entries(&self.shapes) {
                self.waiting.remove(&(position, entry.checkpoint));
                self.notes.partial -= u64::from(entry.cell(&self.shapes).is_partial());
            }
        }
        self.notes.waiting = self.waiting.len() as u64;
        self.ended = false;
    }

    /// Positions with something new since the last call, ascending.
    pub fn take_changed(&mut self) -> Vec<u32> {
        self.latest = None;
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// Looks which waiting cells have their bytes now.
    pub fn settle_waiting(&mut self, sidecar: &Sidecar) {
        let length = sidecar.length();
        let changed = &mut self.changed;
        self.waiting.retain(|(position, _), end| {
            if *end <= length {
                changed.insert(*position);
            }
            *end > length
        });
        self.notes.waiting = self.waiting.len() as u64;
    }

    /// Whether cells wait for sidecar bytes.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Voids what was recorded; what was odd about lines stays, because their numbers still hold.
    fn forget_run(&mut self) {
        let notes = std::mem::take(&mut self.notes);
        let names = std::mem::take(&mut self.names);
        let arrivals = std::mem::take(&mut self.arrivals);
        *self = Self {
            notes: Notes {
                skipped: notes.skipped,
                skipped_count: notes.skipped_count,
                restarts: notes.restarts,
                earlier_runs: notes.earlier_runs,
                ..Notes::default()
            },
            names,
            arrivals,
            ..Self::default()
        };
    }

    /// Counts a line that is no record, and keeps the reason.
    pub fn skip(&mut self, number: u64, reason: impl Into<String>) {
        self.notes.skip(number, reason);
    }
}

impl Cell {
    /// End of its bytes in the sidecar, if it has any there.
    fn sidecar_end(&self) -> Option<u64> {
        match self.place {
            Place::Sidecar { offset } if self.len > 0 => {
                Some(offset + u64::from(self.len) * self.dtype.size() as u64)
            }
            _ => None,
        }
    }
}
