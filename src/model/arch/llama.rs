//! `llama`: RMSNorm, grouped-query attention with RoPE (NORM pairing), SwiGLU.

use super::Context;
use super::decoder::Decoder;
use crate::gguf::Gguf;
use crate::model::graph::{Pairing, Rope};
use crate::model::hparams::ModelError;
use crate::model::{Checkpoint, Graph, Op, Site};

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let mut d = Decoder::new(gguf, "llama", context)?;
    d.refuse_experts()?;
    let mut rope = d.rope(Pairing::Norm)?;
    rope.factors = d.rope_factors(&rope)?;
    layers(d, &rope)
}

/// The layers that `llama` shares with its descendants.
pub fn layers(mut d: Decoder<'_>, rope: &Rope) -> Result<Graph, ModelError> {
    let norm = d.rms_norm()?;
    let attention = d.attention();
    let mut stream = d.embed()?;
    for l in 0..d.n_layer {
        let at = |site| Checkpoint::layer(site, l);
        let normed = d.b.norm(norm.clone(), stream, &format!("blk.{l}.attn_norm"), at(Site::AttnNorm))?;
        let heads = d.heads(l, normed)?;
        let heads = d.rotate(l, heads, rope);
        let out = d.attend(l, heads, &attention)?;
        let residual = d.add(out, stream, at(Site::FfnInp));

        let normed = d.b.norm(norm.clone(), residual, &format!("blk.{l}.ffn_norm"), at(Site::FfnNorm))?;
        let out = d.gated_ffn(l, normed, Op::SwiGlu)?;
        stream = d.add(out, residual, at(Site::LOut));
    }
    d.finish(stream, norm)
}
