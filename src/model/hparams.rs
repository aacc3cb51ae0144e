//! Hyper-parameters read from the model file.

/// A model file that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A metadata key is missing or out of range.
    #[error("{0}")]
    Key(String),
}
