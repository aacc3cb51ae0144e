//! `llama`: RMSNorm, grouped-query attention with RoPE (NORM pairing), SwiGLU.

use crate::gguf::Gguf;
use crate::model::build::{Bias, Builder};
use crate::model::graph::{Attention, Pairing, Rope};
use crate::model::hparams::{Keys, ModelError};
use crate::model::{Checkpoint, Graph, Op, Site};

/// Bounds far above any published model, so that a corrupt key is caught before it is multiplied.
const MAX_LAYERS: usize = 1024;
const MAX_WIDTH: usize = 1 << 20;
const MAX_CONTEXT: usize = 1 << 30;

pub fn build(gguf: &Gguf) -> Result<Graph, ModelError> {
    let keys = Keys::new(gguf, "llama");
    let mut b = Builder::new(gguf);

    let n_layer = keys.count("block_count", MAX_LAYERS)?;
    let n_embd = keys.count("embedding_length", MAX_WIDTH)?;
    let n_ff = keys.count("feed_forward_length", MAX_WIDTH)?;
    let n_ctx = keys.count("context_length", MAX_CONTEXT)?;
    let n_head = keys.count("attention.head_count", n_embd)?;
    let n_head_kv = keys.count_or("attention.head_count_kv", n_head, n_head)?;
    let eps = keys.float("attention.layer_norm_rms_epsilon")?;
    if gguf.opt_u32(&keys.name("expert_count"))?.unwrap_or(0) > 0 {
        return Err(keys.error("expert_count", "mixture-of-experts models cannot be run yet"));
    }
    if n_head % n_head_kv != 0 {
        return Err(
            keys.error("attention.head_count_kv", format!("{n_head_kv} does not divide {n_head} heads"))
        );
    }
    let head_dim = keys.count_or("attention.key_length", n_embd / n_head, MAX_WIDTH)?;
    let head_dim_v = keys.count_or("attention.value_length", head_dim, MAX_WIDTH)?;
    let n_rot = keys.count_or("rope.dimension_count", head_dim, head_dim)?;
    if n_rot % 2 != 0 {
        return Err(keys.error("rope.dimension_count", format!("{n_rot} is odd, but RoPE rotates pairs")));
    }
    let freq_base = keys.float_or("rope.freq_base", 10000.0)?;
    let freq_scale = match keys.text("rope.scaling.type")? {
        None | Some("none") => 1.0,
        Some("linear") => 1.0 / keys.float_or("rope.scaling.factor", 1.0)?,
        Some(other) => {
            return Err(keys.error("rope.scaling.type", format!("`{other}`: expected none or linear")));
        }
    };
    let factors = b.has("rope_freqs.weight").then(|| "rope_freqs.weight".to_owned());
    if let Some(name) = &factors {
        b.expect(name, &[n_rot / 2])?;
    }
    let rope = |heads| Rope {
        heads,
        head_dim,
        n_rot,
        pairing: Pairing::Norm,
        freq_base,
        freq_scale,
        attn_factor: 1.0,
        factors: factors.clone(),
        position_shift: 0,
    };
    let attention = Attention {
        n_head,
        n_head_kv,
        head_dim,
        head_dim_v,
        scale: (1.0 / (head_dim as f64).sqrt()) as f32,
        window: None,
        softcap: None,
        cache_shift: 0,
    };

    let embeddings = b.tensor("token_embd.weight")?;
    let n_vocab = embeddings.shape.get(1).copied().unwrap_or(1) as usize;
    let mut stream =
        b.lookup(Op::Embed, "token_embd.weight", n_embd, n_vocab, Checkpoint::global(Site::Embd))?;
    for l in 0..n_layer {
        let at = |site| Checkpoint::layer(site, l);
        let name = |part: &str| format!("blk.{l}.{part}");
        let rms = || Op::RmsNorm { eps, group: n_embd };

        let norm = b.norm(rms(), stream, &name("attn_norm"), at(Site::AttnNorm))?;
        let q = b.projection(norm, &name("attn_q"), n_head * head_dim, at(Site::QcurMm), at(Site::Qcur))?;
        b.shaped(q, &[head_dim, n_head]);
        let q = b.op(Op::Rope(rope(n_head)), &[q], n_head * head_dim, at(Site::QcurRope));
        b.shaped(q, &[head_dim, n_head]);
        let v =
            b.projection(norm, &name("attn_v"), n_head_kv * head_dim_v, at(Site::VcurMm), at(Site::Vcur))?;
        b.shaped(v, &[head_dim_v, n_head_kv]);
        let k =
            b.projection(norm, &name("attn_k"), n_head_kv * head_dim, at(Site::KcurMm), at(Site::Kcur))?;
        b.shaped(k, &[head_dim, n_head_kv]);
        let k = b.op(Op::Rope(rope(n_head_kv)), &[k], n_head_kv * head_dim, at(Site::KcurRope));
        b.shaped(k, &[head_dim, n_head_kv]);

        let scores = b.op(Op::Scores(attention.clone()), &[q, k], n_head, at(Site::Kq));
        let probabilities = b.op(Op::SoftMax(attention.clone()), &[scores], n_head, at(Site::KqSoftMax));
        let mixed =
            b.op(Op::Mix(attention.clone()), &[probabilities, v], n_head * head_dim_v, at(Site::KqvOut));
        let out =
            b.mat_mul(mixed, &name("attn_output.weight"), n_embd, Bias::IfPresent, at(Site::AttnOut))?;
        let residual = b.op(Op::Add, &[out, stream], n_embd, at(Site::FfnInp));

        let norm = b.norm(rms(), residual, &name("ffn_norm"), at(Site::FfnNorm))?;
        let gate = b.mat_mul(norm, &name("ffn_gate.weight"), n_ff, Bias::IfPresent, at(Site::FfnGate))?;
        let up = b.mat_mul(norm, &name("ffn_up.weight"), n_ff, Bias::IfPresent, at(Site::FfnUp))?;
        let act = b.op(Op::SwiGlu, &[gate, up], n_ff, at(Site::FfnSwiglu));
        let down = b.mat_mul(act, &name("ffn_down.weight"), n_embd, Bias::IfPresent, at(Site::FfnOut))?;
        stream = b.op(Op::Add, &[down, residual], n_embd, at(Site::LOut));
    }
    let norm = b.norm(
        Op::RmsNorm { eps, group: n_embd },
        stream,
        "output_norm",
        Checkpoint::global(Site::ResultNorm),
    )?;
    let output = if b.has("output.weight") { "output.weight" } else { "token_embd.weight" };
    b.mat_mul(norm, output, n_vocab, Bias::IfPresent, Checkpoint::LOGITS)?;
    Ok(b.finish(n_layer, n_embd, n_vocab, n_ctx))
}
