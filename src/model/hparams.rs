//! Hyper-parameters read from the model file, with errors that name the key.

use std::path::PathBuf;

use crate::gguf::{Gguf, GgufError};

/// A model file that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file itself is broken, or a key is missing or of the wrong type.
    #[error(transparent)]
    File(#[from] GgufError),
    /// `general.architecture` names something paritty has no graph for.
    #[error("{path}: architecture `{name}` is not known; known are: {known}")]
    UnknownArchitecture {
        /// The model file.
        path: PathBuf,
        /// The name found.
        name: String,
        /// The names paritty has graphs for.
        known: String,
    },
    /// A key has a value that paritty cannot run, or that contradicts another.
    #[error("{path}: key `{key}`: {problem}")]
    Key {
        /// The model file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it is and what was expected.
        problem: String,
    },
    /// A tensor is missing, or of a shape or type that the graph cannot use.
    #[error("{path}: tensor `{tensor}`: {problem}")]
    Tensor {
        /// The model file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong and what was expected.
        problem: String,
    },
}

/// Reads keys of one architecture: `key("block_count")` is `llama.block_count`.
pub struct Keys<'a> {
    gguf: &'a Gguf,
    arch: &'a str,
}

impl<'a> Keys<'a> {
    /// Keys of architecture `arch` in `gguf`.
    pub fn new(gguf: &'a Gguf, arch: &'a str) -> Self {
        Self { gguf, arch }
    }

    /// The full name of a key.
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    /// A count that must be there, between 1 and `max`.
    pub fn count(&self, key: &str, max: usize) -> Result<usize, ModelError> {
        let value = self.gguf.get_u32(&self.name(key))? as usize;
        self.bounded(key, value, max)
    }

    /// A count that may be absent.
    pub fn count_or(&self, key: &str, default: usize, max: usize) -> Result<usize, ModelError> {
        let value = self.gguf.opt_u32(&self.name(key))?.map_or(default, |v| v as usize);
        self.bounded(key, value, max)
    }

    /// A number that must be there and be finite.
    pub fn float(&self, key: &str) -> Result<f32, ModelError> {
        let value = self.gguf.get_f32(&self.name(key))?;
        self.finite(key, value)
    }

    /// A number that may be absent.
    pub fn float_or(&self, key: &str, default: f32) -> Result<f32, ModelError> {
        let value = self.gguf.opt_f32(&self.name(key))?.unwrap_or(default);
        self.finite(key, value)
    }

    /// A text that may be absent.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, ModelError> {
        Ok(self.gguf.opt_str(&self.name(key))?)
    }

    /// An error about this key.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Key { path: self.gguf.path().to_owned(), key: self.name(key), problem: problem.into() }
    }

    fn bounded(&self, key: &str, value: usize, max: usize) -> Result<usize, ModelError> {
        if (1..=max).contains(&value) {
            Ok(value)
        } else {
            Err(self.error(key, format!("{value}: expected 1 to {max}")))
        }
    }

    fn finite(&self, key: &str, value: f32) -> Result<f32, ModelError> {
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.error(key, format!("{value}: expected a finite number")))
        }
    }
}
