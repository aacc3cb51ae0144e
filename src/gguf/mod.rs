//! GGUF model files: memory-mapped, checked in full when opened, borrowed from afterwards.

mod cursor;
mod error;
pub mod quant;
mod tensor;
mod value;
pub mod write;

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

pub use error::GgufError;
pub use quant::{Dequantize, Format, WeightType};
pub use tensor::TensorInfo;
pub use value::{Array, Kind, Strs, Value};
pub use write::Writer;

use cursor::Cursor;
use value::ValueError;

const MAGIC: &[u8; 4] = b"GGUF";

/// Longest key in bytes (the format's own limit).
const MAX_KEY: usize = 65535;

/// Far more than any model has.
const MAX_KEYS: u64 = 1 << 16;

/// Alignment of tensor data where the file names none (the format's default).
const DEFAULT_ALIGNMENT: u64 = 32;

/// Where a metadata value lies in the file.
#[derive(Debug)]
struct Meta {
    key: String,
    kind: Kind,
    range: Range<usize>,
}

/// An open model file.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    version: u32,
    meta: Vec<Meta>,
    meta_index: HashMap<String, usize>,
    tensors: Vec<TensorInfo>,
    tensor_index: HashMap<String, usize>,
    /// First byte of the data section.
    data: usize,
}

impl Gguf {
    /// Maps a file of version 2 or 3 and checks every count, length, type, offset and overlap in it.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |source| GgufError::io(path, source);
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        if !about.is_file() {
            return Err(GgufError::file(path, "is not a regular file; a GGUF model file was expected"));
        }
        if about.len() < MAGIC.len() as u64 {
            return Err(GgufError::file(
                path,
                format!("has {} bytes and is no GGUF model file: fetch it again", about.len()),
            ));
        }
        // SAFETY: the map is only read, and only as bytes. Whoever truncates the file while it is in use
        // ends the program, as with every program that maps its models; a changed byte is merely a changed value.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Self::parse(path, map)
    }

    fn parse(path: &Path, map: Mmap) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(path, &map);
        let version = read_version(&mut cursor, path)?;
        let n_tensors = cursor.u64("the number of tensors")?;
        let n_keys = cursor.u64("the number of keys")?;
        let (meta, meta_index) = read_meta(&mut cursor, path, n_keys)?;
        let (tensors, tensor_index) = tensor::read_table(&mut cursor, path, n_tensors)?;
        let head = cursor.at();
        let mut gguf =
            Self { path: path.to_owned(), map, version, meta, meta_index, tensors, tensor_index, data: 0 };
        let alignment = gguf.alignment()?;
        let data = (head as u64).next_multiple_of(alignment).min(gguf.file_size());
        gguf.data = data as usize;
        tensor::check_extents(&gguf.tensors, path, alignment, gguf.file_size() - data)?;
        Ok(gguf)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub fn file_size(&self) -> u64 {
        self.map.len() as u64
    }

    /// Version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Alignment of tensor data in bytes, a power of two.
    pub fn alignment(&self) -> Result<u64, GgufError> {
        let key = "general.alignment";
        let alignment = self.opt_u32(key)?.map_or(DEFAULT_ALIGNMENT, u64::from);
        if alignment.is_power_of_two() {
            Ok(alignment)
        } else {
            Err(self.key_error(key, format!("is {alignment}; a power of two was expected")))
        }
    }

    /// Every metadata key, in the file's order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.meta.iter().map(|m| m.key.as_str())
    }

    /// A metadata value.
    pub fn meta(&self, key: &str) -> Option<Value<'_>> {
        let meta = &self.meta[*self.meta_index.get(key)?];
        Value::decode(meta.kind, &self.map[meta.range.clone()])
    }

    /// Every tensor, in the file's order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        Some(&self.tensors[*self.tensor_index.get(name)?])
    }

    /// A tensor's stored bytes, borrowed from the map. `info` must come from this file; a stranger's
    /// that does not fit gives no bytes.
    pub fn data(&self, info: &TensorInfo) -> &[u8] {
        let data = &self.map[self.data..];
        let range = info.offset as usize..info.offset.saturating_add(info.bytes) as usize;
        data.get(range).unwrap_or_default()
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Where a tensor's bytes lie in the file.
    pub fn range(&self, info: &TensorInfo) -> Range<u64> {
        let start = self.data as u64 + info.offset;
        start..start.saturating_add(info.bytes)
    }

    /// The function that widens this tensor's blocks to f32; an error names the tensor and its type if
    /// paritty cannot compute with it.
    pub fn dequantizer(&self, info: &TensorInfo) -> Result<Dequantize, GgufError> {
        let format = info.weight_type.format();
        format.dequantize.ok_or_else(|| {
            let usable = WeightType::ALL.map(WeightType::format);
            let usable: Vec<_> = usable.iter().filter(|f| f.dequantize.is_some()).map(|f| f.name).collect();
            GgufError::tensor(
                &self.path,
                &info.name,
                format!(
                    "is stored as {}, which paritty cannot compute with: quantise the model to one of {}",
                    format.name,
                    usable.join(", ")
                ),
            )
        })
    }

    /// All values of a small tensor (a norm's weight, a bias) as f32.
    pub fn to_f32(&self, info: &TensorInfo) -> Result<Vec<f32>, GgufError> {
        let dequantize = self.dequantizer(info)?;
        let mut out = vec![0.0; info.elements() as usize];
        dequantize(self.data(info), &mut out);
        Ok(out)
    }

    /// An error about one of this file's keys.
    pub fn key_error(&self, key: &str, problem: impl Into<String>) -> GgufError {
        GgufError::key(&self.path, key, problem)
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        get: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.meta(key) else { return Ok(None) };
        let found = value.describe();
        get(value)
            .map(Some)
            .ok_or_else(|| self.key_error(key, format!("is {found}; {expected} was expected")))
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, GgufError> {
        value.ok_or_else(|| {
            self.key_error(key, "is missing: convert the model again with a current converter")
        })
    }

    /// An integer of any width, if the key exists.
    pub fn opt_u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.typed(key, "an integer from 0 to 4294967295", |v| v.as_int()?.try_into().ok())
    }

    /// An integer of any width.
    pub fn get_u32(&self, key: &str) -> Result<u32, GgufError> {
        self.required(key, self.opt_u32(key)?)
    }

    /// A floating-point number, if the key exists.
    pub fn opt_f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.typed(key, "a floating-point number", |v| v.as_f32())
    }

    /// A floating-point number.
    pub fn get_f32(&self, key: &str) -> Result<f32, GgufError> {
        self.required(key, self.opt_f32(key)?)
    }

    /// A truth value, if the key exists.
    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.typed(key, "a truth value", |v| v.as_bool())
    }

    /// A truth value.
    pub fn get_bool(&self, key: &str) -> Result<bool, GgufError> {
        self.required(key, self.opt_bool(key)?)
    }

    /// A text, if the key exists.
    pub fn opt_str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        // Decoded again for the file's lifetime instead of the closure's.
        self.typed(key, "a text in UTF-8", |v| v.as_str().map(drop))?;
        Ok(self.meta(key).and_then(|v| v.as_str()))
    }

    /// A text.
    pub fn get_str(&self, key: &str) -> Result<&str, GgufError> {
        self.required(key, self.opt_str(key)?)
    }

    /// A list of strings, if the key exists. They are borrowed and need not be UTF-8.
    pub fn opt_strs(&self, key: &str) -> Result<Option<Strs<'_>>, GgufError> {
        self.typed(key, "a list of strings", |v| v.as_array()?.strs().map(drop))?;
        Ok(self.meta(key).and_then(|v| v.as_array()?.strs()))
    }

    /// A list of strings.
    pub fn get_strs(&self, key: &str) -> Result<Strs<'_>, GgufError> {
        self.required(key, self.opt_strs(key)?)
    }

    /// A list of floating-point numbers, if the key exists.
    pub fn opt_f32s(&self, key: &str) -> Result<Option<Vec<f32>>, GgufError> {
        self.typed(key, "a list of floating-point numbers", |v| {
            v.as_array()?.scalars()?.map(|v| v.as_f32()).collect()
        })
    }

    /// A list of floating-point numbers.
    pub fn get_f32s(&self, key: &str) -> Result<Vec<f32>, GgufError> {
        self.required(key, self.opt_f32s(key)?)
    }

    /// A list of integers, if the key exists.
    pub fn opt_i32s(&self, key: &str) -> Result<Option<Vec<i32>>, GgufError> {
        self.typed(key, "a list of integers of 32 bits", |v| {
            v.as_array()?.scalars()?.map(|v| v.as_int()?.try_into().ok()).collect()
        })
    }

    /// A list of integers.
    pub fn get_i32s(&self, key: &str) -> Result<Vec<i32>, GgufError> {
        self.required(key, self.opt_i32s(key)?)
    }
}

fn read_version(cursor: &mut Cursor<'_>, path: &Path) -> Result<u32, GgufError> {
    if cursor.take(4, "the magic number")? != MAGIC {
        return Err(GgufError::file(path, "does not start with `GGUF`: it is no GGUF model file"));
    }
    let version = cursor.u32("the version")?;
    match version {
        2 | 3 => Ok(version),
        v if v != 0 && v.trailing_zeros() >= 16 => Err(GgufError::file(
            path,
            "is big-endian; only little-endian files are read: convert it with gguf-py's gguf_convert_endian.py",
        )),
        v => Err(GgufError::file(
            path,
            format!("is GGUF version {v}; versions 2 and 3 are read: convert the model again"),
        )),
    }
}

fn read_meta(
    cursor: &mut Cursor<'_>,
    path: &Path,
    count: u64,
) -> Result<(Vec<Meta>, HashMap<String, usize>), GgufError> {
    if count > MAX_KEYS {
        return Err(GgufError::file(
            path,
            format!("the file claims {count} keys, at most {MAX_KEYS} are allowed: it is damaged"),
        ));
    }
    // Grown as keys are read: a hostile count costs nothing.
    let mut meta: Vec<Meta> = Vec::new();
    let mut index = HashMap::new();
    for i in 0..count {
        let key = cursor.name(&format!("the name of key {i}"), MAX_KEY)?;
        let id = cursor.u32(&format!("the type of key `{}`", crate::text::safe_short(key, 80)))?;
        let kind = Kind::from_id(id).ok_or_else(|| {
            GgufError::key(
                path,
                key,
                format!("is of type {id}, known types are 0 to 12: the file is damaged"),
            )
        })?;
        let start = cursor.at();
        value::skip(cursor, kind, key).map_err(|error| match error {
            ValueError::File(error) => error,
            ValueError::Value(problem) => {
                GgufError::key(path, key, format!("{problem}: the file is damaged"))
            }
        })?;
        if index.insert(key.to_owned(), meta.len()).is_some() {
            return Err(GgufError::key(path, key, "occurs twice: convert the model again"));
        }
        meta.push(Meta { key: key.to_owned(), kind, range: start..cursor.at() });
    }
    Ok((meta, index))
}
