//! A model file in the making: which tensors are changed and how, which keys are set.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::encode;
use crate::gguf::{Gguf, GgufError, TensorInfo, Writer};
use crate::model::view::{RowOrder, ValueChange, View};
use crate::model::{misread, view};

/// A value for a key.
#[derive(Clone, Debug, PartialEq)]
enum Meta {
    Float(f32),
    Integer(u32),
    Text(String),
    Flag(bool),
    Removed,
}

/// One tensor of the new file.
struct Piece {
    /// The tensor whose bytes it starts from.
    source: TensorInfo,
    views: Vec<View>,
}

/// A file that is being changed. What is not changed keeps its bytes.
pub struct Edit<'a> {
    gguf: &'a Gguf,
    /// Tensors whose bytes change, by name.
    pieces: BTreeMap<String, Piece>,
    removed: Vec<String>,
    meta: BTreeMap<String, Meta>,
}

impl<'a> Edit<'a> {
    /// Nothing changed yet.
    pub fn new(gguf: &'a Gguf) -> Self {
        Self { gguf, pieces: BTreeMap::new(), removed: Vec::new(), meta: BTreeMap::new() }
    }

    /// The file as it is.
    pub fn gguf(&self) -> &'a Gguf {
        self.gguf
    }

    /// The tensor, which must be there.
    pub fn tensor(&self, name: &str) -> Result<&'a TensorInfo, GgufError> {
        self.gguf.tensor(name).ok_or_else(|| {
            GgufError::tensor(
                self.gguf.path(),
                name,
                "is not in this file: `paritty mutate --tensors` names them",
            )
        })
    }

    /// The tensor is read through `view`, on top of what was said before. Fails where its type cannot
    /// hold the result.
    pub fn view(&mut self, name: &str, view: View) -> Result<(), GgufError> {
        let info = self.tensor(name)?;
        let misread_in_vain =
            matches!(view, View::Misread(of) if of != info.weight_type || misread::mistake(of).is_none());
        if misread_in_vain || !encode::can_hold(info.weight_type, &view) {
            let ty = info.weight_type;
            return Err(GgufError::tensor(
                self.gguf.path(),
                name,
                format!(
                    "is stored as {ty}, which paritty reads but does not write: convert the model to F16 or Q8_0 first \
                     (`paritty quantize`), or scale, reorder or clear rows, which any type can hold"
                ),
            ));
        }
        let piece = self.pieces.entry(name.to_owned());
        piece.or_insert_with(|| Piece { source: info.clone(), views: Vec::new() }).views.push(view);
        Ok(())
    }

    /// The tensor takes another's bytes. Both must have one shape and type.
    pub fn take(&mut self, name: &str, from: &str) -> Result<(), GgufError> {
        let (own, other) = (self.tensor(name)?, self.tensor(from)?);
        if (&own.shape, own.weight_type) != (&other.shape, other.weight_type) {
            return Err(GgufError::tensor(
                self.gguf.path(),
                name,
                format!(
                    "is {:?} in {}; `{from}` is {:?} in {} and cannot stand for it",
                    own.shape, own.weight_type, other.shape, other.weight_type
                ),
            ));
        }
        self.pieces.insert(name.to_owned(), Piece { source: other.clone(), views: Vec::new() });
        Ok(())
    }

    /// The tensor is left out.
    pub fn remove(&mut self, name: &str) -> Result<(), GgufError> {
        self.tensor(name)?;
        self.removed.push(name.to_owned());
        Ok(())
    }

    /// Sets a key to a floating-point number.
    pub fn set_float(&mut self, key: &str, value: f32) {
        self.meta.insert(key.to_owned(), Meta::Float(value));
    }

    /// Sets a key to an integer.
    pub fn set_integer(&mut self, key: &str, value: u32) {
        self.meta.insert(key.to_owned(), Meta::Integer(value));
    }

    /// Sets a key to a text.
    pub fn set_text(&mut self, key: &str, value: &str) {
        self.meta.insert(key.to_owned(), Meta::Text(value.to_owned()));
    }

    /// Sets a key to a truth value.
    pub fn set_flag(&mut self, key: &str, value: bool) {
        self.meta.insert(key.to_owned(), Meta::Flag(value));
    }

    /// Leaves a key out.
    pub fn remove_key(&mut self, key: &str) {
        self.meta.insert(key.to_owned(), Meta::Removed);
    }

    /// Names of the tensors whose bytes change or that are left out.
    pub fn changed_tensors(&self) -> impl Iterator<Item = &str> {
        self.pieces.keys().chain(&self.removed).map(String::as_str)
    }

    /// Writes the changed file; `written` is told how many bytes each piece had. Where only values change,
    /// everything else, padding included, is copied byte for byte. A file that could not be finished is
    /// removed.
    pub fn save(&self, path: &Path, mut written: impl FnMut(u64)) -> Result<(), GgufError> {
        let real = |path: &Path| path.canonicalize().ok();
        if real(path).is_some() && real(path) == real(self.gguf.path()) {
            return Err(GgufError::file(path, "is the file to be changed; write to another"));
        }
        let done = if self.removed.is_empty() && self.meta.is_empty() {
            File::create(path)
                .and_then(|file| {
                    let mut out = BufWriter::with_capacity(1 << 20, file);
                    self.patched(&mut out, &mut written)
                })
                .map_err(|source| GgufError::io(path, source))
        } else {
            self.writer()?.save(path, |info, out| self.piece(&info.name, out, &mut written))
        };
        if done.is_err() && path.is_file() {
            // The error says what happened; a leftover is no further news.
            let _ = std::fs::remove_file(path);
        }
        done
    }

    /// The same file with some tensors' bytes changed.
    fn patched(&self, out: &mut dyn Write, written: &mut dyn FnMut(u64)) -> io::Result<()> {
        let mut order: Vec<&TensorInfo> =
            self.gguf.tensors().iter().filter(|t| self.pieces.contains_key(&t.name)).collect();
        order.sort_by_key(|t| t.offset);
        let mut at = 0;
        let bytes = self.gguf.bytes();
        for info in order {
            let range = self.gguf.range(info);
            copy(&bytes[at..range.start as usize], out, written)?;
            self.piece(&info.name, out, written)?;
            at = range.end as usize;
        }
        copy(&bytes[at..], out, written)?;
        out.flush()
    }

    fn writer(&self) -> Result<Writer, GgufError> {
        let mut writer = Writer::new();
        writer.copy_meta(self.gguf);
        for (key, value) in &self.meta {
            match value {
                Meta::Float(v) => writer.set(key, *v),
                Meta::Integer(v) => writer.set(key, *v),
                Meta::Text(v) => writer.set(key, v.as_str()),
                Meta::Flag(v) => writer.set(key, *v),
                Meta::Removed => writer.remove(key),
            };
        }
        for t in self.gguf.tensors().iter().filter(|t| !self.removed.contains(&t.name)) {
            writer.tensor(&t.name, &t.shape, t.weight_type)?;
        }
        Ok(writer)
    }

    /// One tensor's bytes in the new file.
    fn piece(&self, name: &str, out: &mut dyn Write, written: &mut dyn FnMut(u64)) -> io::Result<()> {
        let missing = || io::Error::other(format!("tensor `{name}` is gone"));
        let Some(piece) = self.pieces.get(name) else {
            return copy(self.gguf.data(self.gguf.tensor(name).ok_or_else(missing)?), out, written);
        };
        if piece.views.contains(&View::Transposed) {
            return self.whole(piece, out, written);
        }
        let (info, rows) = (&piece.source, piece.source.rows().max(1));
        let dequantize = self.gguf.dequantizer(info).map_err(io::Error::other)?;
        let data = self.gguf.data(info);
        let row_bytes = info.row_bytes();
        let mut values = vec![0.0; info.row_len()];
        for row in 0..rows {
            // Reorderings that come later are outermost: they decide which row is changed by the others.
            let mut row_at = row;
            let mut steps = Vec::new();
            for view in piece.views.iter().rev() {
                match view {
                    View::Rows(order) => row_at = RowOrder::source(*order, row_at, rows),
                    other => steps.push((other, row_at)),
                }
            }
            let mut bytes = data[row_at * row_bytes..][..row_bytes].to_vec();
            for (view, row) in steps.into_iter().rev() {
                match view {
                    View::Misread(ty) => misread::rewrite(*ty, &mut bytes),
                    View::Values(change) => {
                        let scaled = encode::factor(change, row)
                            .is_some_and(|factor| encode::scale(info.weight_type, &mut bytes, factor));
                        if scaled {
                            continue;
                        }
                        dequantize(&bytes, &mut values);
                        change.apply(row, &mut values);
                        encode::encode(info.weight_type, &values, &mut bytes);
                    }
                    View::Rows(_) | View::Transposed => {}
                }
            }
            out.write_all(&bytes)?;
            written(bytes.len() as u64);
        }
        Ok(())
    }

    /// A tensor that has to be held in memory at once, in f32.
    fn whole(&self, piece: &Piece, out: &mut dyn Write, written: &mut dyn FnMut(u64)) -> io::Result<()> {
        let values = view::read(self.gguf, &piece.source, &piece.views).map_err(io::Error::other)?;
        let mut bytes = vec![0; piece.source.row_bytes()];
        for row in values.chunks_exact(piece.source.row_len()) {
            encode::encode(piece.source.weight_type, row, &mut bytes);
            out.write_all(&bytes)?;
            written(bytes.len() as u64);
        }
        Ok(())
    }
}

fn copy(mut bytes: &[u8], out: &mut dyn Write, written: &mut dyn FnMut(u64)) -> io::Result<()> {
    while !bytes.is_empty() {
        let (part, rest) = bytes.split_at(bytes.len().min(4 << 20));
        out.write_all(part)?;
        written(part.len() as u64);
        bytes = rest;
    }
    Ok(())
}

/// Whether a change is one factor for the whole row, and which.
pub(super) fn row_factor(change: &ValueChange, row: usize) -> Option<f32> {
    match *change {
        ValueChange::Scaled(factor) => Some(factor),
        ValueChange::Rows { first, count, factor } => {
            Some(if row >= first && row - first < count { factor } else { 1.0 })
        }
        _ => None,
    }
}
