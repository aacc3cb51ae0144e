//! A model as a list of operations, in order of execution.
//!
//! Taps, single-node evaluation, fault injection and every backend read this one description.
//! All widths are numbers of f32 values *for one position*.

use super::departure::Departure;
use super::{Checkpoint, Site};
use crate::gguf::WeightType;

/// Index of a node in its graph; a node's inputs always have smaller indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The index as an array index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which elements of a head RoPE rotates together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Neighbours (2i, 2i+1): llama.cpp's NORM, used by `llama`.
    Norm,
    /// Halves (i, i + n_rot/2): llama.cpp's NEOX, used by `qwen2`, `phi3`.
    Neox,
}

/// Rotary position embedding as `ggml_rope_ext` defines it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Number of heads in the row.
    pub heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// Leading elements of each head that are rotated; even.
    pub n_rot: usize,
    /// Which elements form a pair.
    pub pairing: Pairing,
    /// Base of the geometric sequence of frequencies.
    pub freq_base: f32,
    /// Factor on the angle (1 / linear scaling factor).
    pub freq_scale: f32,
    /// Factor on sine and cosine (YaRN and long RoPE; 1 otherwise).
    pub attn_factor: f32,
    /// Tensor of n_rot/2 divisors of the frequencies (`rope_freqs.weight`), if the model has one.
    pub factors: Option<String>,
    /// Added to the position; 0 in a correct model.
    pub position_shift: i32,
}

/// Shape and rules of causal attention, shared by its three nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub n_head: usize,
    /// Key and value heads; query head h uses key head h / (n_head / n_head_kv).
    pub n_head_kv: usize,
    /// Elements of one query or key head.
    pub head_dim: usize,
    /// Elements of one value head.
    pub head_dim_v: usize,
    /// Factor on the scores inside the softmax (1/√head_dim where the query is not scaled before).
    pub scale: f32,
    /// Sliding window: a position sees itself and the `window - 1` positions before it.
    pub window: Option<usize>,
    /// Scores become `cap · tanh(score / cap)` before the mask.
    pub softcap: Option<f32>,
    /// Keys and values of position p are stored as those of position p + shift (at least 0);
    /// 0 in a correct model.
    pub cache_shift: i32,
}

/// One operation. `In` below is the concatenation of the node's inputs, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Row `token` of the weight.
    Embed,
    /// Row `position` of the weight.
    PosEmbed,
    /// x / √(mean(x²) + eps), over groups of `group` elements (the whole row when equal to the
    /// width), times the weight if there is one (repeated for each group).
    RmsNorm {
        /// Added to the mean square.
        eps: f32,
        /// Elements that are normalised together.
        group: usize,
    },
    /// (x − mean) / √(var + eps), times weight, plus bias.
    LayerNorm {
        /// Added to the variance.
        eps: f32,
    },
    /// weight · x: the weight is [n_in, n_out] in ggml's order.
    MatMul,
    /// x + weight (a bias of its own).
    AddBias,
    /// Elements `start .. start + width` of the input.
    Slice {
        /// First element.
        start: usize,
    },
    /// Rotary position embedding.
    Rope(Rope),
    /// x · factor.
    Scale {
        /// The factor.
        factor: f32,
    },
    /// cap · tanh(x / cap).
    SoftCap {
        /// The cap.
        cap: f32,
    },
    /// Inputs: query here, keys of every position up to this one. Output: q·k for every such
    /// position, `[positions, heads]`, position fastest, before scale and mask.
    Scores(Attention),
    /// Input: scores. Output: probabilities of the same shape (scale, soft-cap and window happen here).
    SoftMax(Attention),
    /// Inputs: probabilities, values of every position up to this one. Output: heads joined.
    Mix(Attention),
    /// silu(gate) · up. Inputs: gate and up, or one row with gate in the first half.
    SwiGlu,
    /// Tanh approximation of GELU; with two inputs, gelu(gate) · up.
    Gelu,
    /// Sum of two inputs.
    Add,
}

impl Op {
    /// Which input, if any, the operation reads at every position up to its own (keys, values).
    pub fn history_input(&self) -> Option<usize> {
        matches!(self, Self::Scores(_) | Self::Mix(_)).then_some(1)
    }

    /// The rules of attention, for its three operations.
    pub fn attention(&self) -> Option<&Attention> {
        match self {
            Self::Scores(a) | Self::SoftMax(a) | Self::Mix(a) => Some(a),
            _ => None,
        }
    }

    /// The operation without the shifts of position or cache that a fault may have given it.
    #[must_use]
    pub fn unshifted(&self) -> Self {
        let mut op = self.clone();
        match &mut op {
            Self::Rope(rope) => rope.position_shift = 0,
            Self::Scores(a) | Self::SoftMax(a) | Self::Mix(a) => a.cache_shift = 0,
            _ => {}
        }
        op
    }

    /// Whether the output has one group of values per visible position.
    pub fn grows(&self) -> bool {
        matches!(self, Self::Scores(_) | Self::SoftMax(_))
    }

    /// Short name for people: `rms_norm`, `mat_mul`, `rope` …
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::PosEmbed => "pos_embed",
            Self::RmsNorm { .. } => "rms_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::MatMul => "mat_mul",
            Self::AddBias => "add_bias",
            Self::Slice { .. } => "slice",
            Self::Rope(_) => "rope",
            Self::Scale { .. } => "scale",
            Self::SoftCap { .. } => "soft_cap",
            Self::Scores(_) => "attention scores",
            Self::SoftMax(_) => "attention softmax",
            Self::Mix(_) => "attention mix",
            Self::SwiGlu => "swiglu",
            Self::Gelu => "gelu",
            Self::Add => "add",
        }
    }
}

/// One operation with what it reads and the name of what it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Nodes whose outputs it reads.
    pub inputs: Vec<NodeId>,
    /// Name of its weight tensor in the model file.
    pub weight: Option<String>,
    /// How the model file stores the weight.
    pub weight_type: Option<WeightType>,
    /// Name of its bias tensor in the model file.
    pub bias: Option<String>,
    /// How it departs from the right computation; not at all in a right model.
    pub departure: Departure,
    /// The checkpoint its output is known by, if it has one.
    pub checkpoint: Option<Checkpoint>,
    /// Values of its output at one position; for scores and probabilities, per visible position
    /// (that is, the number of heads).
    pub width: usize,
    /// Shape of its output as llama.cpp has it, fastest axis first, without the token axis.
    /// Empty for scores and probabilities, whose shape depends on the position.
    pub shape: Vec<usize>,
}

/// The whole pass for one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Nodes in order of execution. The last one makes the logits.
    pub nodes: Vec<Node>,
    /// Number of layers.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of tokens in the vocabulary (width of the logits).
    pub n_vocab: usize,
    /// Longest sequence the model was made for.
    pub n_ctx: usize,
}

impl Graph {
    /// The node known by `checkpoint`.
    pub fn find(&self, checkpoint: Checkpoint) -> Option<NodeId> {
        self.nodes.iter().position(|n| n.checkpoint == Some(checkpoint)).map(|i| NodeId(i as u32))
    }

    /// The node with index `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The nodes known by `site`, one a layer.
    pub fn at_site(&mut self, site: Site) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut().filter(move |n| n.checkpoint.is_some_and(|c| c.site() == site))
    }

    /// The rules of attention in its first layer.
    pub fn attention(&self) -> Option<&Attention> {
        self.nodes.iter().find_map(|n| n.op.attention())
    }

    /// The first node that departs from the right computation in a way that its operation's attributes
    /// cannot say, in words: for a backend that does not execute departures.
    pub fn departs(&self) -> Option<String> {
        let node = self.nodes.iter().find(|n| !n.departure.is_none())?;
        let name = node.checkpoint.map_or_else(|| node.op.name().to_owned(), |c| c.to_string());
        Some(format!("{name}: {}", node.departure.names().join(", ")))
    }

    /// Every checkpoint, in order of execution.
    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> {
        self.nodes.iter().filter_map(|n| n.checkpoint)
    }
}
