//! A node bound to its weights, and its execution.

use std::sync::Arc;

use rayon::prelude::*;

use super::ops;
use super::real::Real;
use super::weights::Matrix;

use crate::engine::{EngineError, tensors};
use crate::gguf::Gguf;
use crate::model::graph::Attention;
use crate::model::view;
use crate::model::{Node, Op, View};

/// Below this many multiply-adds attention stays on one thread.
const SERIAL_ATTENTION: usize = 1 << 17;

/// When a node runs.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Position of the token.
    pub position: usize,
    /// The token.
    pub token: u32,
}

/// The weights of one node, looked up once.
pub struct Bound {
    matrix: Option<Matrix>,
    vector: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    frequencies: Vec<f64>,
    /// The same through the node's views, where it reads its weight otherwise from a later position on.
    departed: Option<Box<Self>>,
}

impl Bound {
    /// Looks the node's weights up. Shapes were checked when the graph was built.
    pub fn new(gguf: &Arc<Gguf>, node: &Node) -> Result<Self, EngineError> {
        let views = node.departure.views.as_slice();
        if views.is_empty() || node.departure.from == 0 {
            return Self::through(gguf, node, views);
        }
        let departed = Self::through(gguf, node, views)?;
        Ok(Self { departed: Some(Box::new(departed)), ..Self::through(gguf, node, &[])? })
    }

    fn through(gguf: &Arc<Gguf>, node: &Node, views: &[View]) -> Result<Self, EngineError> {
        let info = |name: &str| tensors::info(gguf, name);
        let values = |name: &str| gguf.to_f32(info(name)?).map_err(tensors::failed);
        let mut bound =
            Self { matrix: None, vector: None, bias: None, frequencies: Vec::new(), departed: None };
        if let Some(name) = &node.weight {
            if matches!(node.op, Op::Embed | Op::PosEmbed | Op::MatMul) {
                bound.matrix = Some(Matrix::through(gguf, info(name)?, views).map_err(tensors::failed)?);
            } else {
                bound.vector = Some(view::read(gguf, info(name)?, views).map_err(tensors::failed)?);
            }
        }
        if let Some(name) = &node.bias {
            bound.bias = Some(values(name)?);
        }
        if let Op::Rope(rope) = &node.op {
            let factors = rope.factors.as_deref().map(values).transpose()?;
            bound.frequencies = ops::rope_frequencies(rope, factors.as_deref());
        }
        Ok(bound)
    }

    /// The matrix of a product or a lookup.
    pub fn matrix(&self) -> Option<&Matrix> {
        self.matrix.as_ref()
    }

    /// The weight of any other operation, widened.
    pub fn vector(&self) -> Option<&[f32]> {
        self.vector.as_deref()
    }

    /// The bias.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// Angle of each pair at position 1, for RoPE.
    pub fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    /// The weights as a node reads them that departs.
    pub fn departed(&self) -> &Self {
        self.departed.as_deref().unwrap_or(self)
    }

    /// Computes what `op` says.
    pub fn execute<T: Real>(&self, op: &Op, width: usize, at: Moment, inputs: &[&[T]], out: &mut Vec<T>) {
        let visible = at.position + 1;
        out.resize(if op.grows() { width * visible } else { width }, T::default());
        match op {
            Op::Embed => self.lookup(at.token as usize, out),
            Op::PosEmbed => self.lookup(at.position, out),
            Op::RmsNorm { eps, group } => ops::rms_norm(inputs[0], *eps, *group, self.vector.as_deref(), out),
            Op::LayerNorm { eps } => {
                ops::layer_norm(inputs[0], *eps, self.vector.as_deref(), self.bias.as_deref(), out);
            }
            Op::MatMul => {
                if let Some(matrix) = &self.matrix {
                    matrix.multiply(inputs[0], self.bias.as_deref(), out);
                }
            }
            Op::AddBias => {
                out.copy_from_slice(inputs[0]);
                for (out, b) in out.iter_mut().zip(self.vector.as_deref().unwrap_or_default()) {
                    *out = T::from_f64(out.to_f64() + *b as f64);
                }
            }
            Op::Slice { start } => out.copy_from_slice(&inputs[0][*start..][..width]),
            Op::Rope(rope) => ops::rope(inputs[0], rope, &self.frequencies, at.position, out),
            Op::Scale { factor } => {
                for (out, x) in out.iter_mut().zip(inputs[0]) {
                    *out = T::from_f64(x.to_f64() * *factor as f64);
                }
            }
            Op::SoftCap { cap } => {
                let cap = *cap as f64;
                for (out, x) in out.iter_mut().zip(inputs[0]) {
                    *out = T::from_f64(cap * (x.to_f64() / cap).tanh());
                }
            }
            Op::Scores(a) => each_head(a, visible, visible, out, |head, out| {
                ops::scores_of_head(inputs[0], inputs[1], a, head, out);
            }),
            Op::SoftMax(a) => each_head(a, visible, visible, out, |head, out| {
                ops::softmax_of_head(&inputs[0][head * visible..][..visible], a, out);
            }),
            Op::Mix(a) => each_head(a, a.head_dim_v, visible, out, |head, out| {
                let mut acc = vec![0.0; a.head_dim_v];
                let probabilities = &inputs[0][head * visible..][..visible];
                ops::mix_of_head(probabilities, inputs[1], a, head, &mut acc, out);
            }),
            Op::SwiGlu => ops::gated(inputs, ops::silu, out),
            Op::Gelu if inputs.len() == 1 => {
                for (out, x) in out.iter_mut().zip(inputs[0]) {
                    *out = T::from_f64(ops::gelu(x.to_f64()));
                }
            }
            Op::Gelu => ops::gated(inputs, ops::gelu, out),
            Op::Add => {
                for ((out, a), b) in out.iter_mut().zip(inputs[0]).zip(inputs[1]) {
                    *out = T::from_f64(a.to_f64() + b.to_f64());
                }
            }
        }
    }

    fn lookup<T: Real>(&self, row: usize, out: &mut [T]) {
        let Some(matrix) = &self.matrix else { return };
        let mut values = vec![0.0; out.len()];
        matrix.row(row, &mut values);
        for (out, v) in out.iter_mut().zip(values) {
            *out = T::from_f32(v);
        }
    }
}

/// Runs `one` for each head on its part of `out` (`per_head` values), on several threads where the
/// work is worth it.
fn each_head<T: Real>(
    a: &Attention,
    per_head: usize,
    visible: usize,
    out: &mut [T],
    one: impl Fn(usize, &mut [T]) + Sync,
) {
    if visible * a.head_dim * a.n_head < SERIAL_ATTENTION {
        out.chunks_mut(per_head).enumerate().for_each(|(head, out)| one(head, out));
    } else {
        out.par_chunks_mut(per_head).enumerate().for_each(|(head, out)| one(head, out));
    }
}
