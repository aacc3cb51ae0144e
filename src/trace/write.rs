//! Writing a trace while it is computed: sidecar bytes first, then the line, flushed per position.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::{Header, Token, TraceError, VERSION};
use crate::model::Checkpoint;

/// Text held before it is written; positions with more are written in several parts.
const TEXT_BUFFER: usize = 256 << 10;

/// Sidecar bytes held before they are written.
const SIDECAR_BUFFER: usize = 1 << 20;

/// Writes `NAME.jsonl` and its sidecar `NAME.bin` (or everything as text, without a sidecar, when
/// the target is standard output or a number of values per record was asked for).
///
/// What was written so far is flushed when the writer is dropped, so that a failed run leaves a
/// readable trace.
pub struct TraceWriter {
    path: PathBuf,
    team: String,
    /// Lines that are not written yet.
    text: Vec<u8>,
    out: Box<dyn Write + Send>,
    values: Values,
    /// Records per position, for the terminating line.
    records: BTreeMap<u32, u64>,
}

/// Where values go.
enum Values {
    Sidecar {
        out: BufWriter<File>,
        path: PathBuf,
        /// Bytes given to it so far.
        offset: u64,
    },
    /// Into the line, this many of them at most.
    Text(usize),
}

#[derive(Serialize)]
struct TokenLine<'a> {
    token_idx: u32,
    token: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    piece: Option<&'a str>,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<u32>,
}

#[derive(Serialize)]
struct TensorLine<'a> {
    checkpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensor: Option<&'a str>,
    op: &'a str,
    team: &'a str,
    token_idx: u32,
    dtype: &'a str,
    shape: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl TraceWriter {
    /// Creates (replaces) the trace at `path` and writes its header, naming the sidecar in it.
    ///
    /// Files that are there are unlinked, not overwritten: whoever still reads them keeps what they
    /// had until they notice the new ones.
    pub fn create(path: &Path, header: &Header) -> Result<Self, TraceError> {
        let sidecar = path.with_extension("bin");
        let name = sidecar.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        let Some(name) = name.filter(|_| sidecar != path) else {
            return Err(TraceError::NotATrace {
                path: path.to_owned(),
                problem: "a trace needs a name in UTF-8 that does not end in .bin, such as run.jsonl"
                    .to_owned(),
            });
        };
        // The old text goes first and the new one comes last, so that no reader ever sees a text
        // beside a sidecar that is not its own.
        if sidecar.exists() && !path.exists() {
            // Model weights, too, are often called NAME.bin.
            let source = io::Error::new(
                ErrorKind::AlreadyExists,
                "would become the trace's sidecar but belongs to no trace; choose another name for the trace or remove it",
            );
            return Err(TraceError::Io { path: sidecar, source });
        }
        unlink(path);
        let file = create(&sidecar)?;
        let values =
            Values::Sidecar { out: BufWriter::with_capacity(SIDECAR_BUFFER, file), path: sidecar, offset: 0 };
        let out = Box::new(create(path)?);
        Self::start(path.to_owned(), out, values, &Header { sidecar: Some(name), ..header.clone() })
    }

    /// Creates (replaces) a trace of text alone at `path`, with the first `values` values of each
    /// record (all if `None`).
    pub fn create_text(path: &Path, header: &Header, values: Option<usize>) -> Result<Self, TraceError> {
        let out = Box::new(create(path)?);
        let values = Values::Text(values.unwrap_or(usize::MAX));
        Self::start(path.to_owned(), out, values, &Header { sidecar: None, ..header.clone() })
    }

    /// As `create`, but writes text only, the first `values` values of each record (all if
    /// `None`), to any writer: standard output, or the study's form.
    pub fn text(
        out: Box<dyn Write + Send>,
        header: &Header,
        values: Option<usize>,
    ) -> Result<Self, TraceError> {
        let values = Values::Text(values.unwrap_or(usize::MAX));
        Self::start(PathBuf::from("-"), out, values, &Header { sidecar: None, ..header.clone() })
    }

    /// As `text`, but with the values in the sidecar at `sidecar`, which whoever reads the text expects
    /// beside it.
    pub fn beside(out: Box<dyn Write + Send>, header: &Header, sidecar: &Path) -> Result<Self, TraceError> {
        let name = sidecar.file_name().map(|n| n.to_string_lossy().into_owned());
        let file = create(sidecar)?;
        let values = Values::Sidecar {
            out: BufWriter::with_capacity(SIDECAR_BUFFER, file),
            path: sidecar.to_owned(),
            offset: 0,
        };
        Self::start(PathBuf::from("-"), out, values, &Header { sidecar: name, ..header.clone() })
    }

    fn start(
        path: PathBuf,
        out: Box<dyn Write + Send>,
        values: Values,
        header: &Header,
    ) -> Result<Self, TraceError> {
        let team = header.team.clone();
        let mut writer = Self { path, team, text: Vec::new(), out, values, records: BTreeMap::new() };
        writer.line(&Header { paritty: VERSION, ..header.clone() })?;
        writer.flush()?;
        Ok(writer)
    }

    /// The line that opens a position.
    pub fn token(&mut self, position: u32, token: &Token) -> Result<(), TraceError> {
        self.records.entry(position).or_default();
        self.line(&TokenLine {
            token_idx: position,
            token: token.id,
            piece: token.piece.as_deref(),
            from: if token.from_prompt { "prompt" } else { "sample" },
            columns: token.columns,
        })
    }

    /// One record. `tensor` and `op` are what the engine itself calls the node; `shape` is fastest
    /// axis first and `values` are in memory order.
    pub fn tensor(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        tensor: Option<&str>,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), TraceError> {
        *self.records.entry(position).or_default() += 1;
        let (offset, bytes) = match &mut self.values {
            Values::Sidecar { out, path, offset } => {
                let bytes = little_endian(values);
                out.write_all(&bytes).map_err(|source| TraceError::Io { path: path.clone(), source })?;
                let start = *offset;
                *offset += bytes.len() as u64;
                (Some(start), Some(bytes.len() as u64))
            }
            Values::Text(_) => (None, None),
        };
        let team = std::mem::take(&mut self.team);
        let result = self.line(&TensorLine {
            checkpoint: &checkpoint.to_string(),
            tensor,
            op,
            team: &team,
            token_idx: position,
            dtype: "f32",
            shape,
            offset,
            bytes,
        });
        self.team = team;
        result?;
        if let Values::Text(most) = self.values {
            // The values take the place of the line's end `}\n`.
            self.text.truncate(self.text.len() - 2);
            self.text.extend_from_slice(b",\"values\":[");
            append_values(&values[..values.len().min(most)], &mut self.text);
            self.text.extend_from_slice(b"]}\n");
        }
        if self.text.len() >= TEXT_BUFFER { self.flush() } else { Ok(()) }
    }

    /// One record without values, with what is `known` of them in their place: readers count it as partial.
    pub fn reduced(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        known: &impl Serialize,
    ) -> Result<(), TraceError> {
        *self.records.entry(position).or_default() += 1;
        let line = json!({
            "checkpoint": checkpoint.to_string(),
            "op": op,
            "team": self.team,
            "token_idx": position,
            "dtype": "f32",
            "shape": shape,
            "values": [],
            "statistics": known,
        });
        self.line(&line)
    }

    /// The line that closes a position; flushes sidecar, then text.
    pub fn complete(&mut self, position: u32) -> Result<(), TraceError> {
        self.line(&json!({ "token_idx": position, "complete": true }))?;
        self.flush()
    }

    /// Says that everything from `position` on is void and will be computed again.
    pub fn rewind(&mut self, position: u32) -> Result<(), TraceError> {
        self.records.split_off(&position);
        self.line(&json!({ "rewind": position }))?;
        self.flush()
    }

    /// The terminating line: how many positions and records stand.
    pub fn end(mut self) -> Result<(), TraceError> {
        let records: u64 = self.records.values().sum();
        self.line(&json!({ "end": true, "positions": self.records.len(), "records": records }))?;
        self.flush()
    }

    /// Writes everything out, the sidecar before the lines that name its bytes.
    pub fn flush(&mut self) -> Result<(), TraceError> {
        if let Values::Sidecar { out, path, .. } = &mut self.values {
            out.flush().map_err(|source| TraceError::Io { path: path.clone(), source })?;
        }
        let result = self.out.write_all(&self.text).and_then(|()| self.out.flush());
        // Lines that could not be written are not tried again: half of them may be there.
        self.text.clear();
        result.map_err(|source| TraceError::Io { path: self.path.clone(), source })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), TraceError> {
        serde_json::to_writer(&mut self.text, line)
            .map_err(|e| TraceError::Io { path: self.path.clone(), source: e.into() })?;
        self.text.push(b'\n');
        Ok(())
    }
}

impl Drop for TraceWriter {
    fn drop(&mut self) {
        // Nobody is left to be told of an error.
        let _ = self.flush();
    }
}

impl std::fmt::Debug for TraceWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes an empty file. One that is there is unlinked first; devices and links stay and are written
/// through, and where the folder may not be changed the file is cut in place.
fn create(path: &Path) -> Result<File, TraceError> {
    unlink(path);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    file.map_err(|source| TraceError::Io { path: path.to_owned(), source: with_advice(source) })
}

fn unlink(path: &Path) {
    if path.symlink_metadata().is_ok_and(|m| m.is_file()) {
        let _ = std::fs::remove_file(path);
    }
}

/// A missing folder is the usual mistake; the system's own words do not say which part is missing.
fn with_advice(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound => {
            io::Error::new(ErrorKind::NotFound, "the folder does not exist; create it first")
        }
        _ => error,
    }
}

fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
}

/// Values as JSON: the shortest text that gives the same f32 back; what is not finite as strings.
fn append_values(values: &[f32], out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    for (index, &value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let text = if value.is_finite() {
            buffer.format_finite(value)
        } else if value.is_nan() {
            "\"NaN\""
        } else if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        };
        out.extend_from_slice(text.as_bytes());
    }
}
