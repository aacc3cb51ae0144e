//! Surveys: many models at once, each through a reference, an engine of ours and the oracle, with what
//! is measured of each kept in a folder, so that a survey that was interrupted goes on where it was.
//!
//! A way through the files: [`plan`] says which models and settings, [`runs`] makes the traces,
//! [`measure`] compares them (two by two in `pair`), [`result`] keeps what was measured, [`spread`] measures llama.cpp against
//! itself, [`floors`] turns such pairs into the table of noise floors, [`document`] and [`picture`]
//! report, with [`study`] for what was published before.

mod clip;
pub mod document;
pub mod figure;
pub mod floors;
pub mod measure;
mod pair;
pub mod picture;
pub mod plan;
pub mod result;
pub mod runs;
pub mod spread;
pub mod study;
pub mod surveyed;
mod tables;

use std::path::{Path, PathBuf};

use crate::engine::EngineError;
use crate::gguf::GgufError;
use crate::model::hparams::ModelError;
use crate::trace::TraceError;

/// Why one model could not be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The model file.
    #[error(transparent)]
    File(#[from] GgufError),
    /// The model in it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An engine of ours.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A file of the survey's own.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the survey's own that could not be written.
    #[error(transparent)]
    Write(#[from] crate::plot::PlotError),
    /// llama.cpp's process, in its own words.
    #[error("llama.cpp: {0}")]
    LlamaCpp(String),
    /// Something is missing or does not fit together.
    #[error("{0}")]
    Unfit(String),
    /// The user wants to stop.
    #[error("interrupted")]
    Interrupted,
}

impl SurveyError {
    /// For `map_err` on calls that concern `path`.
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Is told how far a survey is, and says when it is to stop.
pub trait Progress {
    /// Something begins that has `total` positions.
    fn begin(&mut self, what: &str, total: u64);
    /// So many of them are done.
    fn done(&mut self, positions: u64);
    /// Whether to stop; nothing half-finished counts then.
    fn stopped(&self) -> bool;
}

/// Fails when the user wants to stop.
fn go_on(progress: &dyn Progress) -> Result<(), SurveyError> {
    if progress.stopped() { Err(SurveyError::Interrupted) } else { Ok(()) }
}
