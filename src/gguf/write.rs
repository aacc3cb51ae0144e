//! Writes GGUF files, tensor by tensor, so that a file may be larger than memory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::tensor::byte_len;
use super::value::Kind;
use super::{DEFAULT_ALIGNMENT, Gguf, GgufError, MAGIC, TensorInfo, WeightType};

/// A value that a file's metadata can hold.
pub trait Encode {
    /// Its type in the file.
    const KIND: Kind;
    /// Appends its bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

macro_rules! encode_number {
    ($($number:ty => $kind:ident),*) => {$(
        impl Encode for $number {
            const KIND: Kind = Kind::$kind;
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    )*};
}

encode_number!(u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64, f32 => F32, f64 => F64);

impl Encode for bool {
    const KIND: Kind = Kind::Bool;
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

/// A string's bytes; anything but UTF-8 is at the caller's risk.
impl Encode for &[u8] {
    const KIND: Kind = Kind::Str;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.len() as u64).to_le_bytes());
        out.extend(*self);
    }
}

impl Encode for &str {
    const KIND: Kind = Kind::Str;
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }
}

impl Encode for String {
    const KIND: Kind = Kind::Str;
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl<T: Encode> Encode for Vec<T> {
    const KIND: Kind = Kind::Array;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend((T::KIND as u32).to_le_bytes());
        out.extend((self.len() as u64).to_le_bytes());
        for element in self {
            element.encode(out);
        }
    }
}

/// A file in the making: first metadata and tensors are named, then [`Writer::write`] asks for the data.
#[derive(Debug, Default)]
pub struct Writer {
    meta: Vec<(String, Kind, Vec<u8>)>,
    tensors: Vec<TensorInfo>,
}

impl Writer {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key; one that exists keeps its place. Tensor data is aligned to 32 bytes, so
    /// `general.alignment` is not for the caller to set and is ignored.
    #[allow(clippy::needless_pass_by_value)] // values are mostly literals
    pub fn set<T: Encode>(&mut self, key: &str, value: T) -> &mut Self {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        self.set_raw(key, T::KIND, bytes);
        self
    }

    fn set_raw(&mut self, key: &str, kind: Kind, bytes: Vec<u8>) {
        if key == "general.alignment" {
            return;
        }
        match self.meta.iter_mut().find(|(k, ..)| k == key) {
            Some(entry) => (entry.1, entry.2) = (kind, bytes),
            None => self.meta.push((key.to_owned(), kind, bytes)),
        }
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.meta.retain(|(k, ..)| k != key);
        self
    }

    /// Takes over all metadata of `from`, byte for byte.
    pub fn copy_meta(&mut self, from: &Gguf) -> &mut Self {
        for meta in &from.meta {
            self.set_raw(&meta.key, meta.kind, from.map[meta.range.clone()].to_vec());
        }
        self
    }

    /// Adds a tensor; `shape` fastest axis first. Fails if a row is not a whole number of blocks.
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[u64],
        weight_type: WeightType,
    ) -> Result<&mut Self, GgufError> {
        let fail = |problem: String| GgufError::tensor(Path::new("new file"), name, problem);
        if self.tensors.iter().any(|t| t.name == name) {
            return Err(fail("is there already".to_owned()));
        }
        let bytes = byte_len(shape, weight_type).map_err(fail)?;
        let offset =
            self.tensors.last().map_or(0, |t| (t.offset + t.bytes).next_multiple_of(DEFAULT_ALIGNMENT));
        self.tensors.push(TensorInfo {
            name: name.to_owned(),
            shape: shape.to_owned(),
            weight_type,
            offset,
            bytes,
        });
        Ok(self)
    }

    /// The tensors named so far.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Writes the file. `data` is called once for each tensor, in order, and writes exactly its bytes.
    pub fn write(
        &self,
        out: &mut dyn Write,
        mut data: impl FnMut(&TensorInfo, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let head = self.head();
        out.write_all(&head)?;
        let mut at = head.len() as u64;
        let start = at.next_multiple_of(DEFAULT_ALIGNMENT);
        for tensor in &self.tensors {
            pad(out, start + tensor.offset - at)?;
            let mut counted = Counted { out, written: 0 };
            data(tensor, &mut counted)?;
            if counted.written != tensor.bytes {
                return Err(io::Error::other(format!(
                    "tensor `{}`: {} bytes were written, its shape takes {}",
                    tensor.name, counted.written, tensor.bytes
                )));
            }
            at = start + tensor.offset + tensor.bytes;
        }
        // llama.cpp expects the last tensor padded, too.
        pad(out, at.next_multiple_of(DEFAULT_ALIGNMENT) - at)?;
        out.flush()
    }

    /// [`Writer::write`] into a new file at `path`; one that exists is replaced.
    pub fn save(
        &self,
        path: &Path,
        data: impl FnMut(&TensorInfo, &mut dyn Write) -> io::Result<()>,
    ) -> Result<(), GgufError> {
        let io = |source| GgufError::io(path, source);
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
        self.write(&mut out, data).map_err(io)
    }

    /// Everything before the data section, not padded.
    fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        3_u32.encode(&mut out);
        (self.tensors.len() as u64).encode(&mut out);
        (self.meta.len() as u64).encode(&mut out);
        for (key, kind, bytes) in &self.meta {
            key.encode(&mut out);
            (*kind as u32).encode(&mut out);
            out.extend(bytes);
        }
        for tensor in &self.tensors {
            tensor.name.encode(&mut out);
            (tensor.shape.len() as u32).encode(&mut out);
            for axis in &tensor.shape {
                axis.encode(&mut out);
            }
            tensor.weight_type.id().encode(&mut out);
            tensor.offset.encode(&mut out);
        }
        out
    }
}

fn pad(out: &mut dyn Write, len: u64) -> io::Result<()> {
    // Never more than one alignment.
    out.write_all(&[0; DEFAULT_ALIGNMENT as usize][..len as usize])
}

/// Counts what passes.
struct Counted<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
