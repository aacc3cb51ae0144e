//! `qwen2`: as `llama`, with RoPE over halves (NEOX pairing) and biases on query, key and value.

use super::Context;
use super::decoder::Decoder;
use super::llama;
use crate::gguf::Gguf;
use crate::model::Graph;
use crate::model::graph::Pairing;
use crate::model::hparams::ModelError;

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let d = Decoder::new(gguf, "qwen2", context)?;
    // The file must have them: without, a graph would be built that is not this model.
    for l in 0..d.n_layer {
        for part in ["attn_q", "attn_k", "attn_v"] {
            d.b.tensor(&format!("blk.{l}.{part}.bias"))?;
        }
    }
    let rope = d.rope(Pairing::Neox)?;
    llama::layers(d, &rope)
}
