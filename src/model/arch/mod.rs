//! Architectures: one file each that describes the graph, one line here that registers it.

mod decoder;
mod gemma;
mod gemma2;
mod gemma3;
mod gpt2;
mod llama;
mod phi3;
mod qwen2;
mod qwen3;

use super::Graph;
use super::hparams::ModelError;
use crate::gguf::Gguf;

/// How many positions a run is opened for, where that is known. Like llama.cpp, a model with two
/// sets of RoPE factors takes the long ones when this is more than it was first trained for,
/// however few positions are then computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context(pub Option<usize>);

/// An architecture that paritty can run.
pub struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// Builds the graph for a file, checking keys and tensors.
    pub build: fn(&Gguf, Context) -> Result<Graph, ModelError>,
}

/// Every architecture.
pub static ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "llama", build: llama::build },
    Architecture { name: "qwen2", build: qwen2::build },
    Architecture { name: "qwen3", build: qwen3::build },
    Architecture { name: "phi3", build: phi3::build },
    Architecture { name: "gpt2", build: gpt2::build },
    Architecture { name: "gemma2", build: gemma2::build },
    Architecture { name: "gemma3", build: gemma3::build },
];

/// The graph of the model in `gguf`, for a run of no particular length.
pub fn graph(gguf: &Gguf) -> Result<Graph, ModelError> {
    graph_for(gguf, Context::default())
}

/// The graph of the model in `gguf` for a run opened for `context` positions.
pub fn graph_for(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let name = gguf.get_str("general.architecture")?;
    let arch =
        ARCHITECTURES.iter().find(|a| a.name == name).ok_or_else(|| ModelError::UnknownArchitecture {
            path: gguf.path().to_owned(),
            name: crate::text::safe_short(name, 40),
            known: ARCHITECTURES.iter().map(|a| a.name).collect::<Vec<_>>().join(", "),
        })?;
    (arch.build)(gguf, context)
}
