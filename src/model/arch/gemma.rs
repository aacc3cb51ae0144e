//! What `gemma2` and `gemma3` share: scaled embedding, norms before and after each block, query
//! scaled before the scores, GELU-gated feed-forward block, alternating sliding window, soft-caps.
//! The file's norm weights already hold the offset of 1.

use super::decoder::Decoder;
use crate::model::build::Bias;
use crate::model::graph::Rope;
use crate::model::hparams::ModelError;
use crate::model::{Checkpoint, Graph, Op, Site};

/// What tells the two apart.
pub struct Variant {
    /// Whether query and key heads are normalised before RoPE.
    pub normed_heads: bool,
    /// Every n-th layer sees everything; the others see the window. `None`: all see everything.
    pub window: Option<(usize, usize)>,
    /// RoPE of layers that see everything.
    pub rope: Rope,
    /// RoPE of layers that see the window.
    pub window_rope: Rope,
    /// Layers of the one published model (27B) whose scale is 1/√(n_embd / n_head).
    pub wide_scale_layers: usize,
    /// Cap of the attention scores.
    pub score_cap: Option<f32>,
    /// Cap of the logits.
    pub logit_cap: Option<f32>,
}

/// A soft-cap key: absent or 0 means none.
pub fn cap(d: &Decoder<'_>, key: &str, default: f32) -> Result<Option<f32>, ModelError> {
    Ok(Some(d.keys.float_or(key, default)?).filter(|&cap| cap != 0.0))
}

/// Builds the graph.
pub fn build(mut d: Decoder<'_>, v: &Variant) -> Result<Graph, ModelError> {
    let (norm, eps) = (d.rms_norm()?, d.rms_eps()?);
    let mut attention = d.attention();
    attention.scale = 1.0;
    attention.softcap = v.score_cap;
    let width = if d.n_layer == v.wide_scale_layers { d.n_embd / d.n_head } else { d.head_dim };
    let scale = (1.0 / (width as f64).sqrt()) as f32;

    let embedding = d.embed()?;
    let factor = (d.n_embd as f32).sqrt();
    let mut stream = d.b.op(Op::Scale { factor }, &[embedding], d.n_embd, Checkpoint::global(Site::InpL));
    for l in 0..d.n_layer {
        let at = |site| Checkpoint::layer(site, l);
        let name = |part: &str| format!("blk.{l}.{part}");
        let (window, rope) = match v.window {
            Some((every, window)) if l % every < every - 1 => (Some(window), &v.window_rope),
            _ => (None, &v.rope),
        };
        attention.window = window;

        let normed = d.b.norm(norm.clone(), stream, &name("attn_norm"), at(Site::AttnNorm))?;
        let mut heads = d.heads(l, normed)?;
        if v.normed_heads {
            heads.q = d.b.group_norm(eps, heads.q, d.head_dim, &name("attn_q_norm"), at(Site::QcurNormed))?;
            heads.k = d.b.group_norm(eps, heads.k, d.head_dim, &name("attn_k_norm"), at(Site::KcurNormed))?;
        }
        let mut heads = d.rotate(l, heads, rope);
        heads.q = d.scale_query(l, heads.q, scale);
        let out = d.attend(l, heads, &attention)?;
        let out = d.b.norm(norm.clone(), out, &name("post_attention_norm"), at(Site::AttnPostNorm))?;
        let residual = d.add(out, stream, at(Site::FfnInp));

        let normed = d.b.norm(norm.clone(), residual, &name("ffn_norm"), at(Site::FfnNorm))?;
        let out = d.gated_ffn(l, normed, Op::Gelu)?;
        let out = d.b.norm(norm.clone(), out, &name("post_ffw_norm"), at(Site::FfnPostNorm))?;
        stream = d.add(out, residual, at(Site::LOut));
    }
    let Some(cap) = v.logit_cap else { return d.finish(stream, norm) };
    let normed = d.b.norm(norm, stream, "output_norm", Checkpoint::global(Site::ResultNorm))?;
    let logits = d.b.mat_mul(normed, d.output_matrix(), d.n_vocab, Bias::Never, None)?;
    d.b.op(Op::SoftCap { cap }, &[logits], d.n_vocab, Checkpoint::LOGITS);
    Ok(d.into_graph())
}
