//! `qwen3`: as `llama`, with RoPE over halves (NEOX pairing) and an RMSNorm on each query and key
//! head before it.

use super::Context;
use super::decoder::{Decoder, Heads};
use crate::gguf::Gguf;
use crate::model::graph::Pairing;
use crate::model::hparams::ModelError;
use crate::model::{Checkpoint, Graph, Op, Site};

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let mut d = Decoder::new(gguf, "qwen3", context)?;
    let (norm, eps) = (d.rms_norm()?, d.rms_eps()?);
    let rope = d.rope(Pairing::Neox)?;
    let attention = d.attention();
    let mut stream = d.embed()?;
    for l in 0..d.n_layer {
        let at = |site| Checkpoint::layer(site, l);
        let name = |part: &str| format!("blk.{l}.{part}");
        let normed = d.b.norm(norm.clone(), stream, &name("attn_norm"), at(Site::AttnNorm))?;
        let Heads { q, k, v } = d.heads(l, normed)?;
        let q = d.b.group_norm(eps, q, d.head_dim, &name("attn_q_norm"), at(Site::QcurNormed))?;
        let k = d.b.group_norm(eps, k, d.head_dim, &name("attn_k_norm"), at(Site::KcurNormed))?;
        let heads = d.rotate(l, Heads { q, k, v }, &rope);
        let out = d.attend(l, heads, &attention)?;
        let residual = d.add(out, stream, at(Site::FfnInp));

        let normed = d.b.norm(norm.clone(), residual, &name("ffn_norm"), at(Site::FfnNorm))?;
        let out = d.gated_ffn(l, normed, Op::SwiGlu)?;
        stream = d.add(out, residual, at(Site::LOut));
    }
    d.finish(stream, norm)
}
