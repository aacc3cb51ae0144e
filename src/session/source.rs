//! Where a run comes from: the `SRC` arguments of the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A source of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Our CPU engine, f32.
    Cpu,
    /// Our CPU engine in f64: stands for exact arithmetic.
    Oracle,
    /// The real llama.cpp, as a child process of ours.
    LlamaCpp,
    /// A program that speaks the engine protocol, with its arguments.
    Program(String),
    /// A trace file, finished or growing.
    Trace(PathBuf),
}

/// An argument that names no source that this build can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A source that this version lacks.
    #[error("source `{0}` is not in this version; use a trace file, cpu, oracle, llama.cpp or cmd:PROGRAM")]
    Unavailable(String),
    /// llama.cpp without the feature.
    #[error(
        "this paritty was built without llama.cpp; install cmake and libclang-dev, then build with \
         `cargo build --release --features llama-cpp` (or pass the path of a trace that llama.cpp wrote)"
    )]
    NoLlamaCpp,
    /// An empty argument.
    #[error("an empty source; expected a trace file, cpu, oracle, llama.cpp or cmd:PROGRAM")]
    Empty,
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "" => Err(SourceError::Empty),
            "cpu" => Ok(Self::Cpu),
            "oracle" => Ok(Self::Oracle),
            "llama.cpp" if cfg!(feature = "llama-cpp") => Ok(Self::LlamaCpp),
            "llama.cpp" => Err(SourceError::NoLlamaCpp),
            "cuda" => Err(SourceError::Unavailable(text.into())),
            _ if text.starts_with("cuda:") => {
                Err(SourceError::Unavailable(crate::text::safe_short(text, 40)))
            }
            _ => Ok(match text.strip_prefix("cmd:") {
                Some(command) => Self::Program(command.into()),
                None => Self::Trace(text.into()),
            }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Oracle => f.write_str("oracle"),
            Self::LlamaCpp => f.write_str("llama.cpp"),
            Self::Program(command) => write!(f, "cmd:{command}"),
            Self::Trace(path) => path.display().fmt(f),
        }
    }
}
