//! `gpt2`: learned positions, LayerNorm with bias, fused query, key and value with bias, GELU.

use super::Context;
use super::decoder::Decoder;
use crate::gguf::Gguf;
use crate::model::build::Bias;
use crate::model::hparams::ModelError;
use crate::model::{Checkpoint, Graph, Op, Site};

pub fn build(gguf: &Gguf, context: Context) -> Result<Graph, ModelError> {
    let mut d = Decoder::new(gguf, "gpt2", context)?;
    let norm = Op::LayerNorm { eps: d.keys.float("attention.layer_norm_epsilon")? };
    let attention = d.attention();
    // The file must have them: without, a graph would be built that is not this model.
    for l in 0..d.n_layer {
        for part in ["attn_qkv", "attn_output", "ffn_up", "ffn_down"] {
            d.b.tensor(&format!("blk.{l}.{part}.bias"))?;
        }
    }

    let embedding = d.embed()?;
    let positions = Checkpoint::global(Site::PosEmbd);
    let position = d.b.lookup(Op::PosEmbed, "position_embd.weight", d.n_embd, d.n_ctx, positions)?;
    let mut stream = d.add(embedding, position, Checkpoint::global(Site::InpL));
    for l in 0..d.n_layer {
        let at = |site| Checkpoint::layer(site, l);
        let name = |part: &str| format!("blk.{l}.{part}");
        let normed = d.b.norm(norm.clone(), stream, &name("attn_norm"), at(Site::AttnNorm))?;
        let heads = d.fused_heads(l, normed)?;
        d.b.shaped(heads.q, &[d.head_dim, d.n_head]);
        d.b.shaped(heads.k, &[d.head_dim, d.n_head_kv]);
        let out = d.attend(l, heads, &attention)?;
        let residual = d.add(out, stream, at(Site::FfnInp));

        let normed = d.b.norm(norm.clone(), residual, &name("ffn_norm"), at(Site::FfnNorm))?;
        let up = d.b.mat_mul(normed, &name("ffn_up.weight"), d.n_ff, Bias::IfPresent, at(Site::FfnUp))?;
        let act = d.b.op(Op::Gelu, &[up], d.n_ff, at(Site::FfnGelu));
        let out = d.b.mat_mul(act, &name("ffn_down.weight"), d.n_embd, Bias::IfPresent, at(Site::FfnOut))?;
        stream = d.add(out, residual, at(Site::LOut));
    }
    d.finish(stream, norm)
}
