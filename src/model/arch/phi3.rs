//! `phi3`: fused query, key and value, query scaled before the scores, gate and up in one matrix,
//! RoPE over halves with factors for short and long contexts.

use super::Context;
use super::decoder::Decoder;
use crate::gguf::Gguf;
use crate::model::build::Bias;
use crate::model::graph::Pairing;
use crate::model::hparams::ModelError;
use crate::model::{Checkpoint, Graph, Op, Site};

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let mut d = Decoder::new(gguf, "phi3", context)?;
    d.refuse_experts()?;
    let norm = d.rms_norm()?;
    let mut rope = d.rope(Pairing::Neox)?;
    // The sliding window that the file may name is not applied, as llama.cpp does not apply it.
    rope.factors = d.rope_factors(&rope)?;
    let mut attention = d.attention();
    let scale = std::mem::replace(&mut attention.scale, 1.0);

    let mut stream = d.embed()?;
    for l in 0..d.n_layer {
        let at = |site| Checkpoint::layer(site, l);
        let name = |part: &str| format!("blk.{l}.{part}");
        let normed = d.b.norm(norm.clone(), stream, &name("attn_norm"), at(Site::AttnNorm))?;
        let fused = d.b.has(&name("attn_qkv.weight"));
        let heads = if fused { d.fused_heads(l, normed)? } else { d.heads(l, normed)? };
        let mut heads = d.rotate(l, heads, &rope);
        heads.q =
            d.b.op(Op::Scale { factor: scale }, &[heads.q], d.n_head * d.head_dim, at(Site::QcurScaled));
        d.b.shaped(heads.q, &[d.head_dim, d.n_head]);
        let out = d.attend(l, heads, &attention)?;
        let residual = d.add(out, stream, at(Site::FfnInp));

        let normed = d.b.norm(norm.clone(), residual, &name("ffn_norm"), at(Site::FfnNorm))?;
        let joined = d.b.mat_mul(normed, &name("ffn_up.weight"), 2 * d.n_ff, Bias::Never, at(Site::FfnUp))?;
        let act = d.b.op(Op::SwiGlu, &[joined], d.n_ff, at(Site::FfnSwiglu));
        let out = d.b.mat_mul(act, &name("ffn_down.weight"), d.n_embd, Bias::Never, at(Site::FfnOut))?;
        stream = d.add(out, residual, at(Site::LOut));
    }
    d.finish(stream, norm)
}
