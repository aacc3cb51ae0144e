//! The model file's tensors, as every engine looks them up.

use super::EngineError;
use crate::gguf::{Gguf, GgufError, TensorInfo};
use crate::model::hparams::ModelError;

/// The tensor called `name`; an error that names it where the file has none.
pub fn info<'a>(gguf: &'a Gguf, name: &str) -> Result<&'a TensorInfo, EngineError> {
    gguf.tensor(name).ok_or_else(|| {
        EngineError::Model(ModelError::Tensor {
            path: gguf.path().to_owned(),
            tensor: name.to_owned(),
            problem: "missing; the graph needs it".into(),
        })
    })
}

/// What an engine says of a tensor that cannot be read.
pub fn failed(error: GgufError) -> EngineError {
    EngineError::Model(error.into())
}
