//! Opening one of our engines by name.

use std::fmt;
use std::sync::Arc;

use super::cpu::{CpuOptions, F32Engine, Oracle};
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
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Oracle => "oracle",
        })
    }
}

/// An engine of this kind that executes `graph` with the weights of `gguf`.
pub fn open(
    kind: Kind,
    gguf: &Arc<Gguf>,
    graph: Graph,
    options: CpuOptions,
) -> Result<Box<dyn Engine>, EngineError> {
    Ok(match kind {
        Kind::Cpu => Box::new(F32Engine::new(gguf, graph, options)?),
        Kind::Oracle => Box::new(Oracle::new(gguf, graph, options)?),
    })
}
