//! A few arrays that are in memory as a NumPy archive.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::npz::header;
use super::zip::Archive;
use super::{ExportError, bytes, finished, unfinished};

/// One array.
#[derive(Clone, Copy, Debug)]
pub struct NamedArray<'a> {
    /// Its name in the archive.
    pub name: &'a str,
    /// Fastest axis first, as in a trace; NumPy is given the slowest first.
    pub shape: &'a [u32],
    /// The values. Where they are fewer than the shape promises, the array has one axis.
    pub values: &'a [f32],
}

/// Writes `arrays` to `path`; the file appears complete or not at all.
pub fn write_arrays(path: &Path, arrays: &[NamedArray<'_>]) -> Result<(), ExportError> {
    let io = |source| ExportError::Io { path: path.to_owned(), source };
    let file = unfinished(path)?;
    let mut archive = Archive::default();
    let mut parts = Vec::new();
    for array in arrays {
        let len = array.values.len() as u64;
        let shape: Vec<u64> = array.shape.iter().rev().map(|&n| u64::from(n)).collect();
        let whole = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n)) == Some(len);
        let head = header("<f4", if whole { &shape } else { std::slice::from_ref(&len) });
        let at = archive.add(format!("{}.npy", array.name), head.len() as u64 + 4 * len);
        parts.push((at, head, array.values));
    }
    let out = file.as_file();
    out.set_len(archive.len()).map_err(io)?;
    for (at, head, values) in parts {
        out.write_all_at(&head, at).map_err(io)?;
        out.write_all_at(&bytes(values), at + head.len() as u64).map_err(io)?;
    }
    archive.finish(out).map_err(io)?;
    finished(file, path)
}
