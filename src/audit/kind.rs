//! Kinds of nodes: those that an engine computes in the same arithmetic.

use std::fmt;

use super::stretch::Reach;
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// What a node does, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named by its Display")]
pub enum Family {
    Embedding,
    Norm,
    Product,
    Bias,
    Part,
    Rope,
    Scale,
    Scores,
    SoftMax,
    Mix,
    Attention,
    Activation,
    Sum,
    SoftCap,
    Logits,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Embedding => "embedding",
            Self::Norm => "norm",
            Self::Product => "projection",
            Self::Bias => "bias",
            Self::Part => "part of a projection",
            Self::Rope => "RoPE",
            Self::Scale => "scale",
            Self::Scores => "attention scores",
            Self::SoftMax => "softmax",
            Self::Mix => "attention mix",
            Self::Attention => "attention as a whole",
            Self::Activation => "activation",
            Self::Sum => "residual sum",
            Self::SoftCap => "soft-cap",
            Self::Logits => "logits",
        })
    }
}

/// How many columns a batch has, as far as kernels are picked by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named by its Display")]
pub enum Columns {
    Unknown,
    One,
    Few,
    Some,
    More,
    Many,
}

impl Columns {
    /// The limits are those of llama.cpp's CUDA kernels (1, 3, 8 and 16 columns).
    pub fn of(columns: Option<u32>) -> Self {
        match columns {
            None => Self::Unknown,
            Some(0 | 1) => Self::One,
            Some(2..=3) => Self::Few,
            Some(4..=8) => Self::Some,
            Some(9..=16) => Self::More,
            Some(_) => Self::Many,
        }
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "",
            Self::One => "one column",
            Self::Few => "2 to 3 columns",
            Self::Some => "4 to 8 columns",
            Self::More => "9 to 16 columns",
            Self::Many => "17 columns and more",
        })
    }
}

/// Nodes that are fitted and reported together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// What they do.
    pub family: Family,
    /// Weight type of the matrix.
    pub weights: Option<WeightType>,
    /// Columns of the batches.
    pub columns: Columns,
    /// Whether something that rounds lies between them and what was recorded.
    pub bridged: bool,
    /// Whether two rows are multiplied by the activation (SwiGLU) or one goes through it.
    pub gated: bool,
}

impl Kind {
    /// The kind of a node.
    pub fn of(node: &Node, weights: Option<WeightType>, columns: Option<u32>, reach: Reach) -> Self {
        let family = match node.op {
            Op::Embed | Op::PosEmbed => Family::Embedding,
            Op::RmsNorm { .. } | Op::LayerNorm { .. } => Family::Norm,
            Op::MatMul => Family::Product,
            Op::AddBias => Family::Bias,
            Op::Slice { .. } => Family::Part,
            Op::Rope(_) => Family::Rope,
            Op::Scale { .. } => Family::Scale,
            Op::Scores(_) => Family::Scores,
            Op::SoftMax(_) => Family::SoftMax,
            Op::Mix(_) if reach == Reach::Whole => Family::Attention,
            Op::Mix(_) => Family::Mix,
            Op::SwiGlu | Op::Gelu => Family::Activation,
            Op::Add => Family::Sum,
            Op::SoftCap { .. } => Family::SoftCap,
        };
        let matrix = matches!(node.op, Op::MatMul);
        let batched = matches!(family, Family::Product | Family::Scores | Family::Mix | Family::Attention);
        Self {
            family,
            weights: weights.filter(|_| matrix),
            columns: if batched { Columns::of(columns) } else { Columns::Unknown },
            bridged: matches!(reach, Reach::Bridged(_)),
            gated: matches!(family, Family::Activation) && node.inputs.len() > 1,
        }
    }

    fn key(self) -> (Family, Option<u32>, Columns, bool, bool) {
        (self.family, self.weights.map(WeightType::id), self.columns, self.bridged, self.gated)
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.family)?;
        if let Some(weights) = self.weights {
            write!(f, ", {weights}")?;
        }
        if self.columns > Columns::One {
            write!(f, ", {}", self.columns)?;
        }
        if self.bridged {
            f.write_str(", bridged")?;
        }
        Ok(())
    }
}
