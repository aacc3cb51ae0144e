//! Traces as files of other programs: NumPy archives and Parquet tables. Both are written record by
//! record under another name and take their own when they are whole.

mod arrays;
mod npz;
mod parquet;
mod zip;

use std::io;
use std::path::{Path, PathBuf};

pub use arrays::{NamedArray, write_arrays};
pub use npz::{Layout, Npz};
pub use parquet::Parquet;

use crate::model::Checkpoint;
use crate::trace::TraceError;

/// One record's values.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Position.
    pub position: u32,
    /// Which checkpoint.
    pub checkpoint: Checkpoint,
    /// Fastest axis first; of attention scores and probabilities the part that the position sees.
    pub shape: &'a [u32],
    /// As many as the shape promises, or fewer.
    pub values: &'a [f32],
}

/// Somebody who takes every record's values, in the order of the trace.
pub trait Take: Send {
    /// One record.
    fn take(&mut self, row: &Row<'_>) -> Result<(), ExportError>;
    /// A header begins a run; what was recorded before is another run's.
    fn begin(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
    /// Everything from `position` on is void.
    fn rewind(&mut self, position: u32) -> Result<(), ExportError> {
        let _ = position;
        Ok(())
    }
    /// Nothing more comes: the file takes its name.
    fn finish(self: Box<Self>) -> Result<(), ExportError>;
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The trace could not be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The file could not be written.
    #[error("{path}: {source}{}", advice(.source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The library that writes the format refused.
    #[error("{path}: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it said.
        problem: String,
    },
}

/// What to do about the errors that somebody can do something about.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero => {
            "; free some space or name a file on another disk, nothing was left behind"
        }
        io::ErrorKind::NotFound => "; the folder does not exist, create it first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; name a file in a folder that you may write to"
        }
        io::ErrorKind::IsADirectory => "; name a file, not a folder",
        _ => "",
    }
}

/// A file beside `path` that becomes `path` when it is whole, and goes when it is dropped before.
fn unfinished(path: &Path) -> Result<tempfile::NamedTempFile, ExportError> {
    let io = |source| ExportError::Io { path: path.to_owned(), source };
    if path.is_dir() {
        return Err(io(io::ErrorKind::IsADirectory.into()));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".unfinished")
        // As a file that is made without ceremony; the process's mask takes off what it must.
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(io)?;
    Ok(file)
}

/// Gives a whole file its name.
fn finished(file: tempfile::NamedTempFile, path: &Path) -> Result<(), ExportError> {
    let result = file.persist(path);
    result.map(drop).map_err(|e| ExportError::Io { path: path.to_owned(), source: e.error })
}

/// Values as little-endian bytes.
fn bytes(values: &[f32]) -> std::borrow::Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        std::borrow::Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        std::borrow::Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
}
