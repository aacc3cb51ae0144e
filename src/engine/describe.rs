//! A model file in one line, for titles and trace headers.

use std::collections::BTreeMap;

use crate::gguf::Gguf;
use crate::model::Graph;
use crate::trace::ModelInfo;

/// What a trace header says of the model in `gguf`.
pub fn describe(gguf: &Gguf, graph: &Graph) -> ModelInfo {
    let file_name = || gguf.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let text = |key| gguf.opt_str(key).ok().flatten().map(str::to_owned);
    ModelInfo {
        name: text("general.name").filter(|n| !n.is_empty()).unwrap_or_else(file_name),
        arch: text("general.architecture").unwrap_or_default(),
        n_layer: graph.n_layer as u32,
        n_embd: graph.n_embd as u32,
        n_vocab: graph.n_vocab as u32,
        size: gguf.file_size(),
        weights: main_weight_type(gguf),
    }
}

/// Name of the type that holds most of the matrix parameters.
pub fn main_weight_type(gguf: &Gguf) -> Option<String> {
    let mut parameters: BTreeMap<&str, u64> = BTreeMap::new();
    for tensor in gguf.tensors().iter().filter(|t| t.shape.len() > 1) {
        *parameters.entry(tensor.weight_type.format().name).or_default() +=
            tensor.shape.iter().product::<u64>();
    }
    parameters.into_iter().max_by_key(|(_, n)| *n).map(|(name, _)| name.to_owned())
}
