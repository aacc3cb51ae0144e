//! A finished trace from its first line to its last, in batches, without an index: what is held does
//! not grow with the trace. For work that looks at every record once; records that a later line
//! repeats or voids are seen as well.

use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::{memchr, memmem, memrchr};

use super::cell::{Notes, Tensor, Token};
use super::limits::{MAX_LINE, MAX_NAMES, MAX_QUOTE};
use super::names::Names;
use super::record::{self, RawPlace, Record};
use super::sidecar::Sidecar;
use super::source::open_regular;
use super::{Dtype, Header, Store, TraceError, VERSION, values};
use crate::model::Checkpoint;

/// Bytes of text in a batch, unless one line is longer.
const BATCH: usize = 2 << 20;

/// Whole lines of a trace and what they say.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    sidecar: Arc<Sidecar>,
    path: PathBuf,
    /// In the order of the lines.
    pub events: Vec<Event>,
}

impl Batch {
    /// Reads the values of one of its entries into `into` (its buffers are used again). `Ok` says how
    /// many values were written as finite numbers beyond the range of f32, as some loggers write
    /// infinities. May be called from several threads.
    pub fn read(&self, entry: &Entry, into: &mut Tensor) -> Result<u32, TraceError> {
        into.shape.clear();
        into.shape.extend_from_slice(&entry.shape);
        into.values.clear();
        let result = match entry.place {
            RawPlace::Sidecar(offset) => {
                into.exact = true;
                self.sidecar.read(offset, entry.len as usize, entry.dtype, &mut into.values).map(|()| 0)
            }
            RawPlace::Line(at, length) => {
                into.exact = false;
                read_text(&self.text[at..at + length], entry.len, into)
            }
        };
        result.map_err(|problem| {
            into.values.clear();
            TraceError::Values { path: self.path.clone(), line: entry.line, problem }
        })
    }
}

/// What one line says.
#[derive(Clone, Debug)]
pub enum Event {
    /// A run begins; always the first of its batch.
    Header,
    /// A token opens a position.
    Token(u32, Token),
    /// A tensor was recorded.
    Tensor(Entry),
    /// A position is complete.
    Complete(u32),
    /// Everything from this position on is void.
    Rewind(u32),
    /// The trace has ended.
    End,
}

/// A recorded tensor; says where its values are.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Position.
    pub position: u32,
    /// Which checkpoint.
    pub checkpoint: Checkpoint,
    /// Fastest axis first. Shared between entries.
    pub shape: Arc<[u32]>,
    /// Type of the recorded values.
    pub dtype: Dtype,
    /// Line of the record, from 1.
    pub line: u64,
    /// Values that are there.
    pub len: u32,
    place: RawPlace,
}

impl Entry {
    /// Values that the shape promises.
    pub fn full_len(&self) -> usize {
        self.shape.iter().map(|&n| n as usize).product()
    }
}

/// The lines of a trace.
#[allow(clippy::struct_excessive_bools, reason = "four facts that have nothing to do with each other")]
pub struct Stream {
    path: PathBuf,
    from: Box<dyn Read + Send>,
    /// Bytes of the text in all; 0 when unknown (standard input).
    length: u64,
    /// Bytes of text given out.
    bytes: u64,
    lines: u64,
    /// Lines that were read and are not given out.
    rest: Vec<u8>,
    at_end: bool,
    /// The line that is being read is longer than any may be.
    skipping: bool,
    header: Option<Header>,
    team: Option<String>,
    sidecar: Arc<Sidecar>,
    notes: Notes,
    ended: bool,
    any: bool,
    shapes: HashSet<Arc<[u32]>>,
    names: Names,
}

impl Stream {
    /// Opens a trace; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let (from, length): (Box<dyn Read + Send>, u64) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), 0)
        } else {
            let (file, metadata) = open_regular(path).map_err(|e| match e.kind() {
                ErrorKind::InvalidInput => {
                    TraceError::NotATrace { path: path.to_owned(), problem: e.to_string() }
                }
                _ => TraceError::Io { path: path.to_owned(), source: e },
            })?;
            (Box::new(file), metadata.len())
        };
        Ok(Self {
            path: path.to_owned(),
            from,
            length,
            bytes: 0,
            lines: 0,
            rest: Vec::new(),
            at_end: false,
            skipping: false,
            header: None,
            team: None,
            sidecar: Arc::default(),
            notes: Notes::default(),
            ended: false,
            any: false,
            shapes: HashSet::new(),
            names: Names::default(),
        })
    }

    /// The trace's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest header, if there is one.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Who computed it: the header's team, or that of the first record.
    pub fn team(&self) -> Option<&str> {
        let header = self.header().map(|h| h.team.as_str()).filter(|team| !team.is_empty());
        header.or(self.team.as_deref())
    }

    /// What was odd so far. Repeated cells are not looked for.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Whether the terminating line was read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes of text read, and bytes of text in all (0 when that is not known).
    pub fn progress(&self) -> (u64, u64) {
        (self.bytes, self.length)
    }

    /// The next lines; false when there are no more. Fails at the end if nothing in the file is a
    /// trace's.
    pub fn next(&mut self, batch: &mut Batch) -> Result<bool, TraceError> {
        batch.events.clear();
        batch.text.clear();
        std::mem::swap(&mut batch.text, &mut self.rest);
        let end = loop {
            if !self.at_end && batch.text.len() < BATCH {
                self.fill(&mut batch.text)?;
                continue;
            }
            if let Some(newline) = memrchr(b'\n', &batch.text) {
                break if self.at_end { batch.text.len() } else { newline + 1 };
            }
            if self.at_end {
                break batch.text.len();
            }
            // One long line: read on until it ends.
            if self.skipping || batch.text.len() > MAX_LINE {
                self.skipping = true;
                self.bytes += batch.text.len() as u64;
                batch.text.clear();
            }
            self.fill(&mut batch.text)?;
        };
        if end == 0 && self.at_end {
            return if self.any || self.header.is_some() || !self.notes.foreign.is_empty() {
                Ok(false)
            } else {
                Err(self.what_it_is())
            };
        }
        let taken = self.lines_of(&batch.text[..end], &mut batch.events)?;
        self.rest.extend_from_slice(&batch.text[taken..]);
        batch.text.truncate(taken);
        self.bytes += taken as u64;
        batch.sidecar = Arc::clone(&self.sidecar);
        batch.path.clone_from(&self.path);
        Ok(true)
    }

    fn fill(&mut self, text: &mut Vec<u8>) -> Result<(), TraceError> {
        let before = text.len();
        text.resize(before + BATCH, 0);
        let mut filled = before;
        while filled < text.len() {
            match self.from.read(&mut text[filled..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(TraceError::Io { path: self.path.clone(), source }),
            }
        }
        text.truncate(filled);
        Ok(())
    }

    /// Takes lines up to the next header; returns how many bytes they are.
    fn lines_of(&mut self, text: &[u8], events: &mut Vec<Event>) -> Result<usize, TraceError> {
        let mut at = 0;
        while at < text.len() {
            let end = memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n);
            let next = (end + 1).min(text.len());
            let mut line = at..end;
            if self.lines == 0 && text[line.clone()].starts_with(b"\xef\xbb\xbf") {
                line.start += 3;
            }
            if std::mem::take(&mut self.skipping) || line.len() > MAX_LINE {
                self.lines += 1;
                self.skip(format!("longer than {MAX_LINE} bytes"));
            } else if text[line.clone()].trim_ascii().is_empty() {
                self.lines += 1;
            } else {
                let parsed = record::parse(&text[line.clone()], self.header.is_some());
                if matches!(parsed, Ok(Record::Header { .. })) && !events.is_empty() {
                    return Ok(at);
                }
                self.lines += 1;
                match parsed {
                    Ok(record) => self.take(record, line.start, events)?,
                    Err(reason) => self.skip(reason),
                }
            }
            at = next;
        }
        Ok(at)
    }

    fn take(&mut self, record: Record<'_>, start: usize, events: &mut Vec<Event>) -> Result<(), TraceError> {
        match record {
            Record::Header { header, problem } => {
                if header.paritty != VERSION {
                    let problem = format!(
                        "line {}: a trace of format version {}; this paritty reads version {VERSION}",
                        self.lines, header.paritty
                    );
                    return Err(TraceError::NotATrace { path: self.path.clone(), problem });
                }
                if let Some(problem) = problem.or_else(|| header.sidecar_problem()) {
                    self.notes.note(self.lines, problem);
                }
                self.notes.earlier_runs += u64::from(self.any);
                self.sidecar = Arc::new(Sidecar::of(&self.path, &header));
                self.header = Some(*header);
                events.push(Event::Header);
                return Ok(());
            }
            Record::Token { position, id, piece, from_prompt, columns } => {
                let from_prompt = from_prompt.unwrap_or_else(|| {
                    self.header.as_ref().and_then(|h| h.n_prompt).is_none_or(|n| position < n)
                });
                events.push(Event::Token(position, Token { id, piece, from_prompt, columns }));
            }
            Record::Tensor(tensor) => {
                if matches!(tensor.place, RawPlace::Sidecar(_))
                    && let Some(problem) = self.sidecar.refusal()
                {
                    self.skip(problem);
                    return Ok(());
                }
                if self.team.is_none()
                    && let Some(team) = tensor.team
                {
                    let inner = team.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(team);
                    let inner = &inner[..inner.len().min(MAX_QUOTE)];
                    self.team = Some(String::from_utf8_lossy(inner).into_owned());
                }
                let Some(checkpoint) = self.names.checkpoint(&tensor.name) else {
                    self.notes.foreign(&tensor.name);
                    self.any = true;
                    return Ok(());
                };
                let place = match tensor.place {
                    RawPlace::Line(at, length) => RawPlace::Line(start + at, length),
                    place @ RawPlace::Sidecar(_) => place,
                };
                let entry = Entry {
                    position: tensor.position,
                    checkpoint,
                    shape: self.shape(tensor.shape.axes()),
                    dtype: tensor.dtype,
                    line: self.lines,
                    len: tensor.len,
                    place,
                };
                self.notes.partial += u64::from((entry.len as usize) < entry.full_len());
                events.push(Event::Tensor(entry));
            }
            Record::Complete(position) => events.push(Event::Complete(position)),
            Record::Rewind(position) => events.push(Event::Rewind(position)),
            Record::End => {
                self.ended = true;
                events.push(Event::End);
            }
        }
        self.any = true;
        Ok(())
    }

    fn what_it_is(&self) -> TraceError {
        // The index knows what files look like that are no traces.
        match Store::load(&self.path) {
            Err(error) if self.path != Path::new("-") => error,
            _ => {
                let why = self.notes.skipped.first();
                let why = why.map(|(line, reason)| format!(" (line {line}: {reason})")).unwrap_or_default();
                let problem = format!(
                    "holds no record{why}; a trace is a file of JSON lines, as `paritty trace` writes it"
                );
                TraceError::NotATrace { path: self.path.clone(), problem }
            }
        }
    }

    fn skip(&mut self, reason: impl Into<String>) {
        self.notes.skip(self.lines, reason);
    }

    fn shape(&mut self, axes: &[u32]) -> Arc<[u32]> {
        if let Some(known) = self.shapes.get(axes) {
            return Arc::clone(known);
        }
        let shape: Arc<[u32]> = axes.into();
        if self.shapes.len() < MAX_NAMES {
            self.shapes.insert(Arc::clone(&shape));
        }
        shape
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("path", &self.path).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn read_text(array: &[u8], count: u32, into: &mut Tensor) -> Result<u32, String> {
    if count == 0 {
        return Ok(0);
    }
    into.values.reserve(count as usize);
    values::parse(array, &mut into.values, &mut into.exact)?;
    if into.values.len() != count as usize {
        return Err(format!("{} values where {count} were counted", into.values.len()));
    }
    // Rarely needed, so looked for only where there is an infinity to explain.
    if into.values.iter().any(|x| x.is_infinite()) { Ok(beyond_range(array)) } else { Ok(0) }
}

/// How many items of a JSON array are written as finite numbers and yet beyond f32.
fn beyond_range(array: &[u8]) -> u32 {
    if memmem::find(array, b"e").is_none() && memmem::find(array, b"E").is_none() && array.len() < 40 {
        return 0;
    }
    let items = array.split(|b| matches!(b, b',' | b'[' | b']'));
    let finite = |item: &&[u8]| {
        let item = item.trim_ascii();
        let item = item.strip_prefix(b"\"").and_then(|i| i.strip_suffix(b"\"")).unwrap_or(item);
        let digits = item.strip_prefix(b"-").unwrap_or(item);
        digits.first().is_some_and(u8::is_ascii_digit)
            && fast_float2::parse::<f32, _>(item).is_ok_and(f32::is_infinite)
    };
    items.filter(finite).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream_of(text: &[u8]) -> (tempfile::TempDir, Stream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, text).unwrap();
        let stream = Stream::open(&path).unwrap();
        (folder, stream)
    }

    fn drain(stream: &mut Stream) -> (Vec<Event>, Vec<Vec<f32>>, Vec<u32>) {
        let (mut batch, mut tensor) = (Batch::default(), Tensor::default());
        let (mut events, mut values, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
        while stream.next(&mut batch).unwrap() {
            for event in &batch.events {
                if let Event::Tensor(entry) = event {
                    beyond.push(batch.read(entry, &mut tensor).unwrap());
                    values.push(tensor.values.clone());
                }
                events.push(event.clone());
            }
        }
        (events, values, beyond)
    }

    #[test]
    fn a_trace_streams_as_it_is_indexed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let mut writer = super::super::TraceWriter::create(&path, &Header::default()).unwrap();
        let at = Checkpoint::LOGITS;
        for position in 0..300 {
            writer.token(position, &Token::default()).unwrap();
            let row: Vec<f32> = (0..50).map(|i| (i * position) as f32).collect();
            writer.tensor(position, at, None, "X", &[50], &row).unwrap();
            writer.complete(position).unwrap();
        }
        writer.end().unwrap();
        let store = Store::load(&path).unwrap();
        let mut stream = Stream::open(&path).unwrap();
        let (events, values, _) = drain(&mut stream);
        assert_eq!(events.len(), 1 + 3 * 300 + 1);
        let mut tensor = Tensor::default();
        for (position, row) in values.iter().enumerate() {
            assert!(store.read(position as u32, at, &mut tensor).unwrap());
            assert_eq!(&tensor.values, row);
        }
        assert!(stream.has_ended());
    }

    #[test]
    fn long_lines_torn_ends_and_second_runs_are_taken() {
        let long = format!(
            "{{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[{}]}}\n",
            vec!["1.5"; 2_000_000].join(",")
        );
        let text = format!(
            "\u{feff}{{\"paritty\":1,\"team\":\"a\"}}\n{long}{{\"paritty\":1,\"team\":\"b\"}}\nrubbish\n{{\"checkpoint\":\"logits\",\"token_idx\":1,\"values\":[1e308,-1e308,\"Infinity\"]}}"
        );
        let (_folder, mut stream) = stream_of(text.as_bytes());
        let (events, values, beyond) = drain(&mut stream);
        assert_eq!(values.iter().map(Vec::len).collect::<Vec<_>>(), [2_000_000, 3]);
        assert_eq!(beyond, [0, 2]);
        assert_eq!(events.iter().filter(|e| matches!(e, Event::Header)).count(), 2);
        assert_eq!((stream.notes().skipped_count, stream.notes().earlier_runs), (1, 1));
        assert_eq!(stream.notes().skipped[0].0, 4, "the line's number");
        assert_eq!(stream.team(), Some("b"));
    }

    #[test]
    fn what_is_no_trace_is_named() {
        let (_folder, mut stream) = stream_of(b"GGUF\x03\0\0\0");
        let error = stream.next(&mut Batch::default()).and_then(|_| stream.next(&mut Batch::default()));
        assert!(error.unwrap_err().to_string().contains("GGUF"));
        let (_folder, mut stream) = stream_of(b"");
        assert!(stream.next(&mut Batch::default()).unwrap_err().to_string().contains("empty"));
    }
}
