//! The index of a trace: tokens and cells in memory, values on disk until somebody reads them.

use std::collections::VecDeque;
use std::path::Path;

use super::cell::{Cell, Notes, Place, Tensor, Token};
use super::index::{Effect, Index};
use super::limits::MAX_LINE;
use super::sidecar::Sidecar;
use super::source::{CHUNK, Found, Line, Source};
use super::{Arrival, Header, TraceError, VERSION, read, record};
use crate::model::Checkpoint;

/// One trace, indexed. Grows by [`Store::advance`]; values are read from disk on demand.
#[derive(Debug)]
pub struct Store {
    source: Source,
    sidecar: Sidecar,
    index: Index,
    /// Whether what an earlier call gave out is void and the caller was not told yet.
    restarted: bool,
    /// Why nothing of this file is taken in: it is of another version.
    refused: Option<String>,
    /// Its first bytes, to say what it is if it is no trace.
    first_bytes: Vec<u8>,
}

/// What one call of [`Store::advance`] took in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Bytes of text read.
    pub bytes: u64,
    /// Positions with something new, ascending, without repeats.
    pub changed: Vec<u32>,
    /// Whether the file was replaced or cut, so that everything known before is void.
    pub restarted: bool,
    /// Whether there was nothing left to read.
    pub at_end: bool,
}

impl Store {
    /// A store for a trace that may not exist yet. Reads nothing.
    pub fn new(path: &Path) -> Self {
        Self {
            source: Source::new(path),
            sidecar: Sidecar::default(),
            index: Index::default(),
            restarted: false,
            refused: None,
            first_bytes: Vec::new(),
        }
    }

    /// Indexes a finished trace: everything that is there now. A last line without a newline counts
    /// if it is whole.
    ///
    /// Fails when there is no such file or nothing in it is a trace's.
    pub fn load(path: &Path) -> Result<Self, TraceError> {
        let mut store = Self::new(path);
        store.advance(u64::MAX)?;
        if store.source.file().is_none() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(TraceError::Io { path: path.to_owned(), source });
        }
        if let Some(line) = store.source.last_line() {
            let effect = take(&mut store.index, &mut store.sidecar, &mut store.refused, line);
            store.after(effect)?;
        }
        store.index.take_changed();
        if store.is_blank() {
            let problem = store.what_it_is();
            return Err(TraceError::NotATrace { path: path.to_owned(), problem });
        }
        Ok(store)
    }

    /// Reads on from where the last call stopped, about `budget` bytes of text at most.
    /// A file that does not exist yet is no error: nothing is read. After an error the next call
    /// goes on, and positions that changed before the error are told then.
    pub fn advance(&mut self, budget: u64) -> Result<Progress, TraceError> {
        let mut bytes = 0;
        if self.source.refresh()? == Found::Replaced {
            self.restart();
        }
        if self.sidecar.refresh() {
            self.source.reset();
            self.restart();
        }
        self.after(Effect::None)?;
        loop {
            while let Some(line) = self.source.next_line() {
                let effect = take(&mut self.index, &mut self.sidecar, &mut self.refused, line);
                if effect != Effect::None || self.refused.is_some() {
                    self.after(effect)?;
                }
            }
            let left = budget.saturating_sub(bytes).min(CHUNK as u64);
            if left == 0 {
                break;
            }
            match self.source.fill(left as usize)? {
                Found::Absent | Found::Same(0) => break,
                Found::Same(read) => bytes += read as u64,
                Found::Replaced => self.restart(),
            }
        }
        if self.first_bytes.is_empty() {
            self.first_bytes = self.source.first_bytes();
        }
        if self.index.is_waiting() {
            self.sidecar.refresh();
            self.index.settle_waiting(&self.sidecar);
        }
        Ok(Progress {
            bytes,
            changed: self.index.take_changed(),
            restarted: std::mem::take(&mut self.restarted),
            at_end: self.source.at_end(),
        })
    }

    /// Keeps the newest `room` records from now on, for [`Store::take_arrivals`].
    pub fn keep_arrivals(&mut self, room: usize) {
        self.index.arrivals.keep(room);
    }

    /// The newest records since the last call, oldest first, and how many there were in all.
    pub fn take_arrivals(&mut self) -> (VecDeque<Arrival>, u64) {
        self.index.arrivals.take()
    }

    fn restart(&mut self) {
        let restarts = self.index.notes.restarts + 1;
        let arrivals = std::mem::take(&mut self.index.arrivals);
        self.index = Index::default();
        self.index.arrivals = arrivals;
        self.index.notes.restarts = restarts;
        self.sidecar = Sidecar::default();
        self.refused = None;
        self.first_bytes.clear();
        self.restarted = true;
    }

    /// What a line asks for beyond the index.
    fn after(&mut self, effect: Effect) -> Result<(), TraceError> {
        self.restarted |= effect == Effect::NewRun;
        if let (Effect::Header | Effect::NewRun, Some(header)) = (effect, &self.index.header) {
            self.sidecar = Sidecar::of(self.source.path(), header);
        }
        match &self.refused {
            None => Ok(()),
            Some(problem) => {
                Err(TraceError::NotATrace { path: self.source.path().to_owned(), problem: problem.clone() })
            }
        }
    }

    /// Whether nothing that was read so far is a trace's.
    fn is_blank(&self) -> bool {
        let index = &self.index;
        index.header.is_none() && index.columns.is_empty() && index.notes.foreign.is_empty()
    }

    /// What to tell somebody who follows a file that holds something, but no line of a trace so
    /// far. Not an error, since a log may begin with other lines.
    pub fn complaint(&self) -> Option<String> {
        (self.is_blank() && self.notes().skipped_count > 0).then(|| self.what_it_is())
    }

    /// For a file without any line of a trace: what it seems to be and what to do.
    fn what_it_is(&self) -> String {
        const KNOWN: [(&[u8], &str); 6] = [
            (b"GGUF", "is a GGUF model, not a trace"),
            (b"\x1f\x8b", "is compressed (gzip); unpack it first"),
            (b"\x28\xb5\x2f\xfd", "is compressed (zstd); unpack it first"),
            (b"PK\x03\x04", "is an archive (zip); unpack it first"),
            (b"\xff\xfe", "is UTF-16 text; convert it to UTF-8 first"),
            (b"\x93NUMPY", "is a NumPy array, not a trace"),
        ];
        let expected = "a trace is a file of JSON lines, as `paritty trace` writes it";
        if self.source.offset() == 0 {
            return format!("is empty; {expected}");
        }
        if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| self.first_bytes.starts_with(magic)) {
            return format!("{what}; {expected}");
        }
        match self.index.notes.skipped.first() {
            Some((line, reason)) => {
                let count = self.index.notes.skipped_count;
                format!("none of its {count} lines is a trace's (line {line}: {reason}); {expected}")
            }
            None => format!("holds no record; {expected}"),
        }
    }

    /// The trace's path.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Bytes of text read so far.
    pub fn bytes(&self) -> u64 {
        self.source.offset()
    }

    /// Bytes of text read and of sidecar there: grows while a writer is at work.
    pub(super) fn extent(&self) -> u64 {
        self.source.offset() + self.sidecar.length()
    }

    /// The header, if the trace has one.
    pub fn header(&self) -> Option<&Header> {
        self.index.header.as_ref()
    }

    /// Who computed it: the header's team, or that of the first record.
    pub fn team(&self) -> Option<&str> {
        let header = self.header().map(|h| h.team.as_str()).filter(|team| !team.is_empty());
        header.or(self.index.team.as_deref())
    }

    /// Positions that have a token or a cell, ascending.
    pub fn positions(&self) -> impl Iterator<Item = u32> + '_ {
        self.index.columns.keys().copied()
    }

    /// The token at `position`.
    pub fn token(&self, position: u32) -> Option<&Token> {
        self.index.columns.get(&position)?.token.as_ref()
    }

    /// Whether nothing more is to come for `position`: the writer said that it is complete, or the
    /// trace has ended, or the writer never says so and a later position was begun.
    pub fn is_complete(&self, position: u32) -> bool {
        self.index.is_complete(position)
    }

    /// Whether the terminating line was read.
    pub fn has_ended(&self) -> bool {
        self.index.ended
    }

    /// Checkpoints recorded at `position`, in order of execution.
    pub fn checkpoints(&self, position: u32) -> impl Iterator<Item = Checkpoint> + '_ {
        let column = self.index.columns.get(&position);
        column.into_iter().flat_map(|column| column.cells.checkpoints())
    }

    /// The index entry of one cell.
    pub fn cell(&self, position: u32, checkpoint: Checkpoint) -> Option<Cell> {
        self.index.cell(position, checkpoint)
    }

    /// The line of one cell's record: another one when the cell was recorded again.
    pub fn line(&self, position: u32, checkpoint: Checkpoint) -> Option<u64> {
        self.index.line(position, checkpoint)
    }

    /// How many positions have a token or a cell.
    pub fn position_count(&self) -> usize {
        self.index.columns.len()
    }

    /// Of how many positions nothing more is to come.
    pub fn complete_count(&self) -> usize {
        self.index.complete()
    }

    /// Whether anything is recorded at this position.
    pub fn has(&self, position: u32) -> bool {
        self.index.columns.contains_key(&position)
    }

    /// Reads the values of one cell into `into` (its buffers are reused). `Ok(false)`: there is no
    /// such cell. An error names file and line: values promised that are not there.
    pub fn read(&self, position: u32, checkpoint: Checkpoint, into: &mut Tensor) -> Result<bool, TraceError> {
        let Some(cell) = self.cell(position, checkpoint) else { return Ok(false) };
        into.shape.clear();
        into.shape.extend_from_slice(&cell.shape);
        let result = match cell.place {
            Place::Sidecar { offset } => {
                into.exact = true;
                self.sidecar.read(offset, cell.len as usize, cell.dtype, &mut into.values)
            }
            Place::Text { offset, bytes } => read::text(self.source.file(), offset, bytes, cell.len, into),
        };
        match result {
            Ok(()) => Ok(true),
            Err(problem) => {
                into.values.clear();
                Err(TraceError::Values { path: self.path().to_owned(), line: cell.line, problem })
            }
        }
    }

    /// As [`Store::read`], in double precision: of values in the text every digit counts.
    pub fn read_wide(
        &self,
        position: u32,
        checkpoint: Checkpoint,
        into: &mut Vec<f64>,
    ) -> Result<bool, TraceError> {
        into.clear();
        let Some(cell) = self.cell(position, checkpoint) else { return Ok(false) };
        if let Place::Text { offset, bytes } = cell.place {
            let result = read::wide_text(self.source.file(), offset, bytes, cell.len, into);
            return result.map(|()| true).map_err(|problem| TraceError::Values {
                path: self.path().to_owned(),
                line: cell.line,
                problem,
            });
        }
        let mut tensor = Tensor::default();
        self.read(position, checkpoint, &mut tensor)?;
        into.extend(tensor.values.iter().map(|&x| f64::from(x)));
        Ok(true)
    }

    /// What was odd so far.
    pub fn notes(&self) -> &Notes {
        &self.index.notes
    }
}

/// Takes one line into the index. A header of another version goes to `refused`.
fn take(index: &mut Index, sidecar: &mut Sidecar, refused: &mut Option<String>, line: Line<'_>) -> Effect {
    let Some(mut text) = line.text else {
        index.skip(line.number, format!("longer than {MAX_LINE} bytes"));
        return Effect::None;
    };
    if line.number == 1 {
        text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    }
    if text.trim_ascii().is_empty() {
        return Effect::None;
    }
    match record::parse(text, index.header.is_some()) {
        Ok(record::Record::Header { header, .. }) if header.paritty != VERSION => {
            *refused = Some(format!(
                "line {}: a trace of format version {}; this paritty reads version {VERSION}",
                line.number, header.paritty
            ));
            Effect::None
        }
        Ok(record) => {
            // Where the values are counts from the line's first byte, a byte order mark included.
            let lead = line.text.map_or(0, |whole| whole.len() - text.len()) as u64;
            index.apply(record, line.number, line.offset + lead, sidecar)
        }
        Err(reason) => {
            index.skip(line.number, reason);
            Effect::None
        }
    }
}
