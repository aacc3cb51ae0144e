//! NumPy's archive: one array a checkpoint, rows by position. Traces go position by position and
//! arrays checkpoint by checkpoint, so that the sizes are counted first and every row is then
//! written to its place; nothing but the sizes is held.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::zip::Archive;
use super::{ExportError, Row, Take, bytes, finished, unfinished};
use crate::compare::cell::is_per_position;
use crate::model::Checkpoint;
use crate::trace::{Batch, Event, Stream};

/// Bytes of neighbouring rows that are written at once.
const BUFFER: usize = 64 << 10;

/// What the arrays will look like: found by a pass over the lines of a trace, without its values.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// One bit a position.
    present: Vec<u64>,
    arrays: BTreeMap<Checkpoint, Axes>,
    tokens: BTreeMap<u32, u32>,
    /// Headers up to the run that is exported.
    runs: u64,
}

/// Axes of one checkpoint's rows.
#[derive(Clone, Debug)]
struct Axes {
    /// The longest fastest axis.
    width: u32,
    /// The other axes, fastest first; empty where rows differ in them.
    others: Vec<u32>,
    /// The longest row in all, for rows that differ in their other axes.
    longest: u64,
    alike: bool,
}

impl Axes {
    fn add(&mut self, shape: &[u32], len: u64) {
        self.width = self.width.max(shape.first().copied().unwrap_or(0));
        self.alike &= self.others == shape.get(1..).unwrap_or(&[]);
        self.longest = self.longest.max(len);
    }

    /// NumPy's order: slowest first, without the positions.
    fn shape(&self) -> Vec<u64> {
        if self.alike {
            self.others.iter().rev().chain([&self.width]).map(|&n| u64::from(n)).collect()
        } else {
            vec![self.longest]
        }
    }
}

impl Layout {
    /// Passes over the lines of the trace at `path`. `go_on` is told bytes done and in all; false ends the
    /// pass early.
    pub fn of(path: &Path, go_on: &mut dyn FnMut(u64, u64) -> bool) -> Result<Self, ExportError> {
        let mut layout = Self::default();
        let mut stream = Stream::open(path)?;
        let mut batch = Batch::default();
        while stream.next(&mut batch)? {
            for event in &batch.events {
                match event {
                    Event::Header => layout = Self { runs: layout.runs + 1, ..Self::default() },
                    Event::Token(position, token) => {
                        layout.mark(*position);
                        layout.tokens.insert(*position, token.id);
                    }
                    Event::Tensor(entry) => {
                        layout.mark(entry.position);
                        let mut shape = entry.shape.to_vec();
                        if let Some(width) =
                            shape.first_mut().filter(|_| is_per_position(entry.checkpoint.site()))
                        {
                            *width = (*width).min(entry.position + 1);
                        }
                        let promised = shape.iter().map(|&n| u64::from(n)).product::<u64>();
                        let len = promised.min(entry.len.into());
                        // A record that is cut off has no axes but its length.
                        if len < promised {
                            shape = vec![len as u32];
                        }
                        let fresh = || Axes {
                            width: 0,
                            others: shape.get(1..).unwrap_or(&[]).to_vec(),
                            longest: 0,
                            alike: true,
                        };
                        layout.arrays.entry(entry.checkpoint).or_insert_with(fresh).add(&shape, len);
                    }
                    Event::Rewind(position) => layout.rewind(*position),
                    Event::Complete(_) | Event::End => {}
                }
            }
            let (done, all) = stream.progress();
            if !go_on(done, all) {
                break;
            }
        }
        Ok(layout)
    }

    fn mark(&mut self, position: u32) {
        let word = position as usize / 64;
        if self.present.len() <= word {
            self.present.resize(word + 1, 0);
        }
        self.present[word] |= 1 << (position % 64);
    }

    fn rewind(&mut self, position: u32) {
        for (i, word) in self.present.iter_mut().enumerate() {
            let from = u64::from(position).saturating_sub(64 * i as u64);
            *word &= if from >= 64 { u64::MAX } else { (1 << from) - 1 };
        }
        self.tokens.split_off(&position);
    }

    fn positions(&self) -> impl Iterator<Item = u32> + '_ {
        let bits = |(i, &word): (usize, &u64)| {
            (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| 64 * i as u32 + b)
        };
        self.present.iter().enumerate().flat_map(bits)
    }
}

/// An archive that is being written.
pub struct Npz {
    path: PathBuf,
    file: tempfile::NamedTempFile,
    archive: Archive,
    arrays: BTreeMap<Checkpoint, Array>,
    /// Positions before each word of `present`.
    ranks: Vec<u32>,
    layout: Layout,
    /// Headers seen.
    runs: u64,
    row: Vec<f32>,
}

struct Array {
    axes: Axes,
    /// Where its first row is.
    start: u64,
    /// Values of a row.
    len: usize,
    /// One bit a row: whether it was written.
    written: Vec<u64>,
    /// Rows that are not written yet, and where they belong.
    pending: Vec<u8>,
    at: u64,
}

impl Npz {
    /// Begins an archive that becomes `path`.
    pub fn create(path: &Path, layout: Layout) -> Result<Self, ExportError> {
        let io = |source| ExportError::Io { path: path.to_owned(), source };
        let file = unfinished(path)?;
        let mut archive = Archive::default();
        let mut ranks = Vec::with_capacity(layout.present.len());
        let mut count = 0;
        for word in &layout.present {
            ranks.push(count);
            count += word.count_ones();
        }
        let rows = u64::from(count);
        let mut heads = Vec::new();
        let mut add = |archive: &mut Archive, name: &str, kind: &str, shape: &[u64], size: u64| {
            let head = header(kind, shape);
            let values = shape.iter().product::<u64>();
            let at = archive.add(format!("{name}.npy"), head.len() as u64 + values * size);
            let start = at + head.len() as u64;
            heads.push((at, head));
            start
        };
        let positions_at = add(&mut archive, "positions", "<u4", &[rows], 4);
        let tokens_at = add(&mut archive, "tokens", "<i8", &[rows], 8);
        let mut arrays = BTreeMap::new();
        for (checkpoint, axes) in &layout.arrays {
            let mut shape = vec![rows];
            shape.extend(axes.shape());
            let start = add(&mut archive, &checkpoint.to_string(), "<f4", &shape, 4);
            let array = Array {
                axes: axes.clone(),
                start,
                len: shape[1..].iter().product::<u64>() as usize,
                written: vec![0; rows.div_ceil(64) as usize],
                pending: Vec::new(),
                at: 0,
            };
            arrays.insert(*checkpoint, array);
        }
        let out = file.as_file();
        out.set_len(archive.len()).map_err(io)?;
        for (at, head) in heads {
            out.write_all_at(&head, at).map_err(io)?;
        }
        let positions: Vec<u8> = layout.positions().flat_map(u32::to_le_bytes).collect();
        out.write_all_at(&positions, positions_at).map_err(io)?;
        let token = |p: u32| layout.tokens.get(&p).map_or(-1, |&t| i64::from(t));
        let tokens: Vec<u8> = layout.positions().flat_map(|p| token(p).to_le_bytes()).collect();
        out.write_all_at(&tokens, tokens_at).map_err(io)?;
        Ok(Self { path: path.to_owned(), file, archive, arrays, ranks, layout, runs: 0, row: Vec::new() })
    }

    fn io(&self, source: io::Error) -> ExportError {
        ExportError::Io { path: self.path.clone(), source }
    }

    fn rank(&self, position: u32) -> Option<u64> {
        let (word, bit) = (position as usize / 64, position % 64);
        let bits = *self.layout.present.get(word)?;
        let before = (bits & ((1 << bit) - 1)).count_ones();
        (bits >> bit & 1 == 1).then(|| u64::from(self.ranks[word] + before))
    }
}

impl Take for Npz {
    fn take(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        let Some(rank) = self.rank(row.position).filter(|_| self.runs == self.layout.runs) else {
            return Ok(());
        };
        let Some(array) = self.arrays.get_mut(&row.checkpoint) else { return Ok(()) };
        self.row.clear();
        let width = array.axes.width as usize;
        let own = row.shape.first().copied().unwrap_or(0) as usize;
        if array.axes.alike && own > 0 && own < width && row.shape.len() > 1 {
            // Shorter on its fastest axis only.
            for part in row.values.chunks(own) {
                self.row.extend_from_slice(part);
                self.row.resize(self.row.len().next_multiple_of(width), f32::NAN);
            }
        } else {
            self.row.extend_from_slice(row.values);
        }
        self.row.resize(array.len, f32::NAN);
        array.written[rank as usize / 64] |= 1 << (rank % 64);
        let result = array.put(self.file.as_file(), rank, &self.row);
        result.map_err(|source| ExportError::Io { path: self.path.clone(), source })
    }

    fn begin(&mut self) -> Result<(), ExportError> {
        self.runs += 1;
        Ok(())
    }

    fn rewind(&mut self, position: u32) -> Result<(), ExportError> {
        if self.runs != self.layout.runs {
            return Ok(());
        }
        // Rows from here on, whether their positions come again or not.
        let word = (position as usize / 64).min(self.ranks.len());
        let kept = match self.ranks.get(word) {
            Some(before) => before + (self.layout.present[word] & ((1 << (position % 64)) - 1)).count_ones(),
            None => u32::MAX,
        };
        for array in self.arrays.values_mut() {
            for (i, written) in array.written.iter_mut().enumerate() {
                let from = u64::from(kept).saturating_sub(64 * i as u64);
                *written &= if from >= 64 { u64::MAX } else { (1 << from) - 1 };
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        let rows: u64 = self.layout.present.iter().map(|w| u64::from(w.count_ones())).sum();
        for array in self.arrays.values_mut() {
            let nothing = vec![f32::NAN; array.len];
            let file = self.file.as_file();
            let missing = |array: &Array, r: u64| array.written[r as usize / 64] >> (r % 64) & 1 == 0;
            let result = (0..rows)
                .try_for_each(|r| if missing(array, r) { array.put(file, r, &nothing) } else { Ok(()) })
                .and_then(|()| array.flush(file));
            result.map_err(|source| ExportError::Io { path: self.path.clone(), source })?;
        }
        self.archive.finish(self.file.as_file()).map_err(|e| self.io(e))?;
        let Self { file, path, .. } = *self;
        finished(file, &path)
    }
}

impl Array {
    fn put(&mut self, file: &File, rank: u64, row: &[f32]) -> io::Result<()> {
        let at = self.start + rank * 4 * self.len as u64;
        if at != self.at + self.pending.len() as u64 || self.pending.len() + 4 * row.len() > BUFFER {
            self.flush(file)?;
            self.at = at;
        }
        if 4 * row.len() > BUFFER {
            self.at = at + 4 * row.len() as u64;
            return file.write_all_at(&bytes(row), at);
        }
        self.pending.extend_from_slice(&bytes(row));
        Ok(())
    }

    fn flush(&mut self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.pending, self.at)?;
        self.at += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Npz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Npz").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The head of an array's file (format 1.0 of NumPy's `numpy.lib.format`): padded to 64 bytes.
pub(super) fn header(kind: &str, shape: &[u64]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", axes.join(" "));
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 11;
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((padded as u16 + 1).to_le_bytes());
    out.extend(format!("{text:padded$}\n").into_bytes());
    out
}
