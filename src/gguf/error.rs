//! What can be wrong with a model file.

use std::path::{Path, PathBuf};

use crate::text::safe_short;

/// Characters of a key or tensor name that an error shows; a hostile file's name may be megabytes long.
const SHOWN: usize = 80;

/// Why a GGUF file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no GGUF that can be read, or ends early.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, what was expected and what to do.
        problem: String,
    },
    /// A metadata key is missing, malformed or has an unexpected type or value.
    #[error("{}: key `{key}`: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong, what was expected and what to do.
        problem: String,
    },
    /// A tensor is missing, malformed or of a type that paritty cannot compute with.
    #[error("{}: tensor `{tensor}`: {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong, what was expected and what to do.
        problem: String,
    },
}

impl GgufError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into() }
    }

    /// An error about metadata `key` of the file at `path`.
    pub fn key(path: &Path, key: &str, problem: impl Into<String>) -> Self {
        Self::Key { path: path.to_owned(), key: safe_short(key, SHOWN), problem: problem.into() }
    }

    /// An error about `tensor` of the file at `path`.
    pub fn tensor(path: &Path, tensor: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { path: path.to_owned(), tensor: safe_short(tensor, SHOWN), problem: problem.into() }
    }
}
