//! What decoder-only transformers share: hyper-parameters, heads, attention, feed-forward blocks.
//! An architecture picks the parts it is made of.

use super::Context;
use crate::gguf::Gguf;
use crate::model::build::{Bias, Builder};
use crate::model::graph::{Attention, Pairing, Rope};
use crate::model::hparams::{Keys, ModelError};
use crate::model::{Checkpoint, Graph, NodeId, Op, Site};

/// Bounds far above any published model, so that a corrupt key is caught before it is multiplied.
const MAX_LAYERS: usize = 1024;
const MAX_WIDTH: usize = 1 << 20;
const MAX_CONTEXT: usize = 1 << 30;

/// Query, key and value of a layer, before or after RoPE.
#[derive(Clone, Copy)]
pub struct Heads {
    /// [n_head · head_dim]
    pub q: NodeId,
    /// [n_head_kv · head_dim]
    pub k: NodeId,
    /// [n_head_kv · head_dim_v]
    pub v: NodeId,
}

/// A model under construction.
pub struct Decoder<'a> {
    /// Its keys.
    pub keys: Keys<'a>,
    /// Its nodes so far.
    pub b: Builder<'a>,
    /// Layers.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Width of the feed-forward block.
    pub n_ff: usize,
    /// Longest sequence the model was made for.
    pub n_ctx: usize,
    /// Positions that the run is opened for.
    context: Context,
    /// Query heads.
    pub n_head: usize,
    /// Key and value heads.
    pub n_head_kv: usize,
    /// Elements of a query or key head.
    pub head_dim: usize,
    /// Elements of a value head.
    pub head_dim_v: usize,
    /// Tokens.
    pub n_vocab: usize,
}

impl<'a> Decoder<'a> {
    /// Reads what every decoder has.
    pub fn new(gguf: &'a Gguf, arch: &'a str, context: Context) -> Result<Self, ModelError> {
        let keys = Keys::new(gguf, arch);
        let b = Builder::new(gguf);
        let n_embd = keys.count("embedding_length", MAX_WIDTH)?;
        let n_head = keys.count("attention.head_count", n_embd)?;
        let n_head_kv = keys.count_or("attention.head_count_kv", n_head, n_head)?;
        if n_head % n_head_kv != 0 {
            return Err(
                keys.error("attention.head_count_kv", format!("{n_head_kv} does not divide {n_head} heads"))
            );
        }
        let head_dim = keys.count_or("attention.key_length", n_embd / n_head, MAX_WIDTH)?;
        let head_dim_v = keys.count_or("attention.value_length", head_dim, MAX_WIDTH)?;
        let embeddings = b.tensor("token_embd.weight")?;
        let n_vocab = embeddings.shape.get(1).copied().unwrap_or(1) as usize;
        let tokens = gguf.opt_strs("tokenizer.ggml.tokens")?.map(|tokens| tokens.len());
        if let Some(tokens) = tokens.filter(|&tokens| tokens != n_vocab) {
            let problem = format!("has {n_vocab} rows, but the file's vocabulary has {tokens} tokens");
            return Err(b.error("token_embd.weight", problem));
        }
        Ok(Self {
            n_layer: keys.count("block_count", MAX_LAYERS)?,
            n_ff: keys.count("feed_forward_length", MAX_WIDTH)?,
            n_ctx: keys.count("context_length", MAX_CONTEXT)?,
            context,
            keys,
            b,
            n_embd,
            n_head,
            n_head_kv,
            head_dim,
            head_dim_v,
            n_vocab,
        })
    }

    /// Fails where the file says that the feed-forward block is a mixture of experts.
    pub fn refuse_experts(&self) -> Result<(), ModelError> {
        match self.keys.count_or("expert_count", 1, usize::MAX) {
            Ok(1) | Err(_) => Ok(()),
            Ok(n) => {
                Err(self.keys.error("expert_count", format!("{n}: mixture-of-experts models cannot be run")))
            }
        }
    }

    /// The epsilon of every RMSNorm.
    pub fn rms_eps(&self) -> Result<f32, ModelError> {
        self.keys.float("attention.layer_norm_rms_epsilon")
    }

    /// RMSNorm of the whole row with the file's epsilon.
    pub fn rms_norm(&self) -> Result<Op, ModelError> {
        Ok(Op::RmsNorm { eps: self.rms_eps()?, group: self.n_embd })
    }

    /// RoPE with the file's base, scale and rotated width; `heads` is filled in where it is used.
    pub fn rope(&self, pairing: Pairing) -> Result<Rope, ModelError> {
        let keys = &self.keys;
        let n_rot = keys.count_or("rope.dimension_count", self.head_dim, self.head_dim)?;
        if n_rot % 2 != 0 {
            return Err(keys.error("rope.dimension_count", format!("{n_rot} is odd, but RoPE rotates pairs")));
        }
        let freq_scale = match keys.text("rope.scaling.type")? {
            None | Some("none" | "longrope" | "") => 1.0,
            Some("linear") => 1.0 / keys.float_or("rope.scaling.factor", 1.0)?,
            Some(other) => {
                let other = crate::text::safe_short(other, 20);
                return Err(
                    keys.error("rope.scaling.type", format!("`{other}`: expected none, linear or longrope"))
                );
            }
        };
        Ok(Rope {
            heads: 0,
            head_dim: self.head_dim,
            n_rot,
            pairing,
            freq_base: keys.float_or("rope.freq_base", 10000.0)?,
            freq_scale,
            attn_factor: keys.float_or("rope.scaling.attn_factor", 1.0)?,
            factors: None,
            position_shift: 0,
        })
    }

    /// The tensor with the frequencies' divisors, if the file has one: those of Llama 3.1 and later,
    /// or the set for long or for short contexts. A run with the short set ends where they do.
    pub fn rope_factors(&mut self, rope: &Rope) -> Result<Option<String>, ModelError> {
        let tensor = if self.b.has("rope_freqs.weight") {
            "rope_freqs.weight"
        } else if self.b.has("rope_factors_long.weight") || self.b.has("rope_factors_short.weight") {
            let original =
                self.keys.count_or("rope.scaling.original_context_length", self.n_ctx, self.n_ctx)?;
            if self.context.0.is_some_and(|positions| positions > original) {
                "rope_factors_long.weight"
            } else {
                self.n_ctx = original;
                "rope_factors_short.weight"
            }
        } else {
            return Ok(None);
        };
        self.b.expect(tensor, &[rope.n_rot / 2])?;
        Ok(Some(tensor.to_owned()))
    }

    /// Causal attention that scales its scores by 1/√head_dim.
    pub fn attention(&self) -> Attention {
        Attention {
            n_head: self.n_head,
            n_head_kv: self.n_head_kv,
            head_dim: self.head_dim,
            head_dim_v: self.head_dim_v,
            scale: (1.0 / (self.head_dim as f64).sqrt()) as f32,
            window: None,
            softcap: None,
            cache_shift: 0,
        }
    }

    /// `token_embd.weight`.
    pub fn embed(&mut self) -> Result<NodeId, ModelError> {
        self.b.lookup(
            Op::Embed,
            "token_embd.weight",
            self.n_embd,
            self.n_vocab,
            Checkpoint::global(Site::Embd),
        )
    }

    /// Query, key and value from three projections, with biases where the file has them.
    pub fn heads(&mut self, l: usize, input: NodeId) -> Result<Heads, ModelError> {
        let (kv, v_width) = (self.n_head_kv * self.head_dim, self.n_head_kv * self.head_dim_v);
        let q_width = self.n_head * self.head_dim;
        let mut project = |name: &str, width, before, after| {
            let name = format!("blk.{l}.{name}");
            self.b.projection(input, &name, width, Checkpoint::layer(before, l), Checkpoint::layer(after, l))
        };
        let q = project("attn_q", q_width, Site::QcurMm, Site::Qcur)?;
        let v = project("attn_v", v_width, Site::VcurMm, Site::Vcur)?;
        let k = project("attn_k", kv, Site::KcurMm, Site::Kcur)?;
        Ok(Heads { q, k, v })
    }

    /// Query, key and value as parts of one projection `attn_qkv`.
    pub fn fused_heads(&mut self, l: usize, input: NodeId) -> Result<Heads, ModelError> {
        let at = |site| Checkpoint::layer(site, l);
        let (q, kv) = (self.n_head * self.head_dim, self.n_head_kv * self.head_dim);
        let v = self.n_head_kv * self.head_dim_v;
        let name = format!("blk.{l}.attn_qkv");
        let plain = if self.b.has(&format!("{name}.bias")) { Site::WqkvB } else { Site::Wqkv };
        let joined = self.b.projection(input, &name, q + kv + v, at(Site::Wqkv), at(plain))?;
        let mut slice = |start, width, site| self.b.op(Op::Slice { start }, &[joined], width, at(site));
        Ok(Heads { q: slice(0, q, Site::Qcur), k: slice(q, kv, Site::Kcur), v: slice(q + kv, v, Site::Vcur) })
    }

    /// Rotates query and key.
    pub fn rotate(&mut self, l: usize, heads: Heads, rope: &Rope) -> Heads {
        let mut turn = |input, heads: usize, site| {
            let width = self.b.width(input);
            self.b.shaped(input, &[rope.head_dim, heads]);
            let id = self.b.op(
                Op::Rope(Rope { heads, ..rope.clone() }),
                &[input],
                width,
                Checkpoint::layer(site, l),
            );
            self.b.shaped(id, &[rope.head_dim, heads])
        };
        let q = turn(heads.q, self.n_head, Site::QcurRope);
        let k = turn(heads.k, self.n_head_kv, Site::KcurRope);
        Heads { q, k, v: heads.v }
    }

    /// Attention over the cache and the output projection (`attn_out`).
    pub fn attend(&mut self, l: usize, heads: Heads, attention: &Attention) -> Result<NodeId, ModelError> {
        let at = |site| Checkpoint::layer(site, l);
        let a = || attention.clone();
        self.b.shaped(heads.v, &[self.head_dim_v, self.n_head_kv]);
        let scores = self.b.op(Op::Scores(a()), &[heads.q, heads.k], self.n_head, at(Site::Kq));
        let probabilities = self.b.op(Op::SoftMax(a()), &[scores], self.n_head, at(Site::KqSoftMax));
        let width = self.n_head * self.head_dim_v;
        let mixed = self.b.op(Op::Mix(a()), &[probabilities, heads.v], width, at(Site::KqvOut));
        self.b.mat_mul(
            mixed,
            &format!("blk.{l}.attn_output.weight"),
            self.n_embd,
            Bias::IfPresent,
            at(Site::AttnOut),
        )
    }

    /// The sum of two rows of the residual stream.
    pub fn add(&mut self, a: NodeId, b: NodeId, checkpoint: Checkpoint) -> NodeId {
        self.b.op(Op::Add, &[a, b], self.n_embd, checkpoint)
    }

    /// gate and up, their product through `activation`, down (`ffn_out`).
    pub fn gated_ffn(&mut self, l: usize, input: NodeId, activation: Op) -> Result<NodeId, ModelError> {
        let at = |site| Checkpoint::layer(site, l);
        let name = |part: &str| format!("blk.{l}.{part}.weight");
        let site = if activation == Op::SwiGlu { Site::FfnSwiglu } else { Site::FfnGelu };
        let gate = self.b.mat_mul(input, &name("ffn_gate"), self.n_ff, Bias::IfPresent, at(Site::FfnGate))?;
        let up = self.b.mat_mul(input, &name("ffn_up"), self.n_ff, Bias::IfPresent, at(Site::FfnUp))?;
        let act = self.b.op(activation, &[gate, up], self.n_ff, at(site));
        self.b.mat_mul(act, &name("ffn_down"), self.n_embd, Bias::IfPresent, at(Site::FfnOut))
    }

    /// The query times `factor`, where the scores are not scaled later.
    pub fn scale_query(&mut self, l: usize, query: NodeId, factor: f32) -> NodeId {
        let width = self.n_head * self.head_dim;
        let scaled = self.b.op(Op::Scale { factor }, &[query], width, Checkpoint::layer(Site::QcurScaled, l));
        self.b.shaped(scaled, &[self.head_dim, self.n_head])
    }

    /// The matrix that makes logits: the embedding's where the file has none of its own.
    pub fn output_matrix(&self) -> &'static str {
        if self.b.has("output.weight") { "output.weight" } else { "token_embd.weight" }
    }

    /// The final norm, the logits and the finished graph.
    pub fn finish(mut self, stream: NodeId, norm: Op) -> Result<Graph, ModelError> {
        let norm = self.b.norm(norm, stream, "output_norm", Checkpoint::global(Site::ResultNorm))?;
        self.b.mat_mul(norm, self.output_matrix(), self.n_vocab, Bias::IfPresent, Checkpoint::LOGITS)?;
        Ok(self.into_graph())
    }

    /// The graph, once the logits are in it.
    pub fn into_graph(self) -> Graph {
        self.b.finish(self.n_layer, self.n_embd, self.n_vocab, self.n_ctx)
    }
}
