//! Models that are tried, each with a clean run of somebody who is trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ScoreError;
use super::record::record;
use crate::engine::describe::main_weight_type;
use crate::engine::open::Kind;
use crate::fault::Injections;
use crate::gguf::Gguf;
use crate::model::{Graph, arch};
use crate::synth::Synth;
use crate::synth::mix::Mix;
use crate::synth::shape::Shape;
use crate::trace::{Store, Token};

/// A model with a clean reference run.
pub struct Subject {
    /// Short name.
    pub name: String,
    /// `general.architecture`.
    pub arch: String,
    /// The type of most of its weights.
    pub weights: String,
    /// The file.
    pub gguf: Arc<Gguf>,
    /// The right graph.
    pub graph: Graph,
    /// The reference run's trace.
    pub reference: PathBuf,
    /// Whether that is a run of llama.cpp (else of the oracle).
    pub of_llama_cpp: bool,
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Our engine's clean run over them.
    pub clean: PathBuf,
}

impl Subject {
    /// A model with a recorded run of llama.cpp.
    pub fn recorded(name: &str, model: &Path, trace: &Path, folder: &Path) -> Result<Self, ScoreError> {
        let store = Store::load(trace)?;
        let tokens = store.positions().filter_map(|p| store.token(p).cloned()).collect();
        Self::new(name, model, Some(trace), tokens, folder)
    }

    /// A model whose reference is the oracle.
    pub fn with_oracle(
        name: &str,
        model: &Path,
        tokens: Vec<Token>,
        folder: &Path,
    ) -> Result<Self, ScoreError> {
        Self::new(name, model, None, tokens, folder)
    }

    fn new(
        name: &str,
        model: &Path,
        trace: Option<&Path>,
        tokens: Vec<Token>,
        folder: &Path,
    ) -> Result<Self, ScoreError> {
        let gguf = Arc::new(Gguf::open(model)?);
        let graph = arch::graph_for(&gguf, arch::Context(Some(tokens.len())))?;
        let none = Injections::default();
        let clean = folder.join(format!("{name}-clean.jsonl"));
        record(&gguf, graph.clone(), &none, Kind::Cpu, false, &tokens, &clean)?;
        let reference = if let Some(trace) = trace {
            trace.to_owned()
        } else {
            let path = folder.join(format!("{name}-oracle.jsonl"));
            record(&gguf, graph.clone(), &none, Kind::Oracle, false, &tokens, &path)?;
            path
        };
        Ok(Self {
            name: name.to_owned(),
            arch: gguf.get_str("general.architecture")?.to_owned(),
            weights: main_weight_type(&gguf).unwrap_or_default(),
            graph,
            reference,
            of_llama_cpp: trace.is_some(),
            tokens,
            clean,
            gguf,
        })
    }
}

/// A small model of random weights after the shape called `like`, with the weight types of `mix`: architectures that the
/// demos lack (soft-caps, a window, norms after blocks), and types that theirs were not written in.
pub fn random(like: &str, mix: &str, vocab: &Gguf, path: &Path) -> Result<(), ScoreError> {
    let mut shape = Shape::named(like)?;
    // As many values a row as every weight type takes whole blocks of, and heads that share keys where they may.
    let shares = shape.n_head_kv < shape.n_head;
    (shape.n_layer, shape.n_embd, shape.n_ff, shape.n_ctx) = (4, 256, 512, 128);
    (shape.n_head, shape.n_head_kv, shape.head_dim, shape.n_rot) = (4, if shares { 2 } else { 4 }, 64, 0);
    shape.window = shape.window.map(|_| 8);
    let mix = Mix::named(mix).ok_or_else(|| ScoreError::Other(format!("no mix is called {mix}")))?;
    Ok(Synth::new(&shape, mix, vocab, 1)?.save(path, |_| {})?)
}
