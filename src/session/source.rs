//! Where a run comes from: the `SRC` arguments of the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::engine::open::{Kind, UnknownEngine};

/// A source of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Our CPU engine, f32.
    Cpu,
    /// Our CPU engine in f64: stands for exact arithmetic.
    Oracle,
    /// Our engine on a GPU, by its number.
    Cuda(usize),
    /// The real llama.cpp, as a child process of ours.
    LlamaCpp,
    /// A program that speaks the engine protocol, with its arguments.
    Program(String),
    /// A trace file, finished or growing.
    Trace(PathBuf),
}

impl From<Kind> for Source {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Cpu => Self::Cpu,
            Kind::Oracle => Self::Oracle,
            Kind::Cuda(device) => Self::Cuda(device),
        }
    }
}

/// An argument that names no source that this build can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// llama.cpp without the feature.
    #[error(
        "this paritty was built without llama.cpp; install cmake and libclang-dev, then build with \
         `cargo build --release --features llama-cpp` (or pass the path of a trace that llama.cpp wrote)"
    )]
    NoLlamaCpp,
    /// A device that is none.
    #[error(transparent)]
    UnknownEngine(#[from] UnknownEngine),
    /// An empty argument.
    #[error("an empty source; expected a trace file, cpu, cuda, oracle, llama.cpp or cmd:PROGRAM")]
    Empty,
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "" => Err(SourceError::Empty),
            "llama.cpp" if cfg!(feature = "llama-cpp") => Ok(Self::LlamaCpp),
            "llama.cpp" => Err(SourceError::NoLlamaCpp),
            _ => match (text.strip_prefix("cmd:"), text.parse::<Kind>()) {
                (Some(command), _) => Ok(Self::Program(command.into())),
                (None, Ok(kind)) => Ok(kind.into()),
                (None, Err(unknown)) if text.starts_with("cuda:") => Err(unknown.into()),
                (None, Err(_)) => Ok(Self::Trace(text.into())),
            },
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Oracle => f.write_str("oracle"),
            Self::Cuda(device) => Kind::Cuda(*device).fmt(f),
            Self::LlamaCpp => f.write_str("llama.cpp"),
            Self::Program(command) => write!(f, "cmd:{command}"),
            Self::Trace(path) => path.display().fmt(f),
        }
    }
}
