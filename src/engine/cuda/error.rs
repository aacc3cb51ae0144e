//! What can go wrong between here and a GPU.

use std::path::PathBuf;

use cudarc::driver::DriverError;
use indicatif::HumanBytes;

/// Why the CUDA engine cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// Something that has to be installed.
    #[error("{what}; {remedy} (`paritty doctor` shows what was looked for; engine cpu needs no GPU)")]
    Missing {
        /// What is not there.
        what: String,
        /// How to get it.
        remedy: &'static str,
    },
    /// No such device.
    #[error("there is no CUDA device {asked}: {}", match found { 0 => "none was found".to_owned(), n => format!("{n} found, numbered from 0") })]
    NoDevice {
        /// The number asked for.
        asked: usize,
        /// Devices there are.
        found: usize,
    },
    /// The driver refused or failed.
    #[error("{doing}: {}", describe(*.source))]
    Driver {
        /// What was tried.
        doing: String,
        /// What the driver said.
        source: DriverError,
    },
    /// A kernel does not compile.
    #[error("the kernels in {kernel} do not compile for {architecture}: {log}")]
    Compile {
        /// The source.
        kernel: &'static str,
        /// Such as `sm_90`.
        architecture: String,
        /// The compiler's words.
        log: String,
    },
    /// The model does not fit.
    #[error(
        "{what} needs {} of device memory, but only {} of {} are free: {hint}",
        HumanBytes(*.needed),
        HumanBytes(*.free),
        HumanBytes(*.total)
    )]
    OutOfMemory {
        /// For what.
        what: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// Bytes the device has.
        total: u64,
        /// What would fit.
        hint: String,
    },
    /// A model that the kernels cannot serve.
    #[error("{0}")]
    Unsupported(String),
    /// The folder of compiled kernels.
    #[error("{}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl CudaError {
    /// For `map_err` on the driver's answers.
    pub fn driver(doing: impl Into<String>) -> impl FnOnce(DriverError) -> Self {
        let doing = doing.into();
        move |source| Self::Driver { doing, source }
    }
}

/// The driver's own words for an error.
fn describe(error: DriverError) -> String {
    match error.error_string() {
        Ok(text) => format!("{} ({:?})", text.to_string_lossy(), error.0),
        Err(_) => format!("{:?}", error.0),
    }
}
