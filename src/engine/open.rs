//! Opening one of our engines by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::cpu::{CpuOptions, F32Engine, Oracle};
use super::cuda::{CudaEngine, CudaOptions};
use super::{Engine, EngineError};
use crate::gguf::Gguf;
use crate::model::Graph;

/// Our engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CPU, f32.
    Cpu,
    /// CPU, f64.
    Oracle,
    /// A GPU, by its number.
    Cuda(usize),
}

impl Kind {
    /// The engine for who does not care. It stays the CPU until the CUDA engine in its present form
    /// has run on a GPU (tests/gpu-results.txt).
    pub fn best() -> Self {
        Self::Cpu
    }

    /// What its traces call the backend.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Oracle => "oracle",
            Self::Cuda(_) => "CUDA",
        }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Oracle];

    /// The kind that is printed as `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Oracle => f.write_str("oracle"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(device) => write!(f, "cuda:{device}"),
        }
    }
}

/// A text that names no engine of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no engine of ours: cpu, oracle, cuda or cuda:N")]
pub struct UnknownEngine(String);

impl FromStr for Kind {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "oracle" => Ok(Self::Oracle),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| UnknownEngine(crate::text::safe_short(text, 40))),
        }
    }
}

/// How engines compute.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// An engine on the CPU; the number format of keys and values holds for all.
    pub cpu: CpuOptions,
    /// An engine on a GPU; what is not said is taken from the environment.
    pub cuda: CudaOptions,
}

impl From<CpuOptions> for OpenOptions {
    fn from(cpu: CpuOptions) -> Self {
        Self { cpu, cuda: CudaOptions::default() }
    }
}

/// An engine of this kind that executes `graph` with the weights of `gguf`.
pub fn open(
    kind: Kind,
    gguf: &Arc<Gguf>,
    graph: Graph,
    options: impl Into<OpenOptions>,
) -> Result<Box<dyn Engine>, EngineError> {
    open_with(kind, gguf, graph, options, &mut |_, _| {})
}

/// As [`open`]; `progress` is told of bytes loaded and of all, where loading takes time.
pub fn open_with(
    kind: Kind,
    gguf: &Arc<Gguf>,
    graph: Graph,
    options: impl Into<OpenOptions>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Box<dyn Engine>, EngineError> {
    let OpenOptions { cpu, cuda } = options.into();
    Ok(match kind {
        Kind::Cpu => Box::new(F32Engine::new(gguf, graph, cpu)?),
        Kind::Oracle => Box::new(Oracle::new(gguf, graph, cpu)?),
        Kind::Cuda(device) => {
            let options = cuda.with_environment().map_err(EngineError::Request)?;
            let options = CudaOptions { device, kv_f16: cpu.kv_f16, ..options };
            Box::new(CudaEngine::new(gguf, graph, &options, progress)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for kind in [Kind::Cpu, Kind::Oracle, Kind::Cuda(0), Kind::Cuda(3)] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("cuda:0".parse(), Ok(Kind::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:99999999999999999999"] {
            assert!(text.parse::<Kind>().is_err(), "{text}");
        }
    }
}
