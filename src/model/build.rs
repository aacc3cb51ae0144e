//! Building a graph from a model file: every weight is looked up and its shape checked on the way.

use super::departure::Departure;
use super::hparams::ModelError;
use super::{Checkpoint, Graph, Node, NodeId, Op};
use crate::gguf::{Gguf, TensorInfo};

/// Collects nodes in order of execution. Methods that name a weight fail when the file lacks it or
/// has it in another shape.
pub struct Builder<'a> {
    gguf: &'a Gguf,
    nodes: Vec<Node>,
}

impl<'a> Builder<'a> {
    /// An empty graph over the weights of `gguf`.
    pub fn new(gguf: &'a Gguf) -> Self {
        Self { gguf, nodes: Vec::new() }
    }

    /// Whether the file has this tensor.
    pub fn has(&self, tensor: &str) -> bool {
        self.gguf.tensor(tensor).is_some()
    }

    /// The tensor, which must exist.
    pub fn tensor(&self, name: &str) -> Result<&'a TensorInfo, ModelError> {
        self.gguf
            .tensor(name)
            .ok_or_else(|| self.error(name, "missing; the graph of this architecture needs it"))
    }

    /// The tensor, which must exist with exactly this shape (fastest axis first).
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<(), ModelError> {
        let found = &self.tensor(name)?.shape;
        let trimmed = |s: &[u64]| s.iter().rposition(|&n| n != 1).map_or(0, |last| last + 1);
        let wanted: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        if found[..trimmed(found)] == wanted[..trimmed(&wanted)] {
            Ok(())
        } else {
            Err(self.error(name, format!("shape {found:?}, expected {wanted:?}")))
        }
    }

    /// An error about a tensor.
    pub fn error(&self, tensor: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Tensor {
            path: self.gguf.path().to_owned(),
            tensor: tensor.to_owned(),
            problem: problem.into(),
        }
    }

    /// Values of a node's output at one position.
    pub fn width(&self, id: NodeId) -> usize {
        self.nodes[id.index()].width
    }

    /// A node without weights, whose output is a plain row.
    pub fn op(
        &mut self,
        op: Op,
        inputs: &[NodeId],
        width: usize,
        checkpoint: impl Into<Option<Checkpoint>>,
    ) -> NodeId {
        self.push(Node {
            op,
            inputs: inputs.to_vec(),
            weight: None,
            weight_type: None,
            bias: None,
            departure: Departure::default(),
            checkpoint: checkpoint.into(),
            width,
            shape: vec![width],
        })
    }

    /// Row lookup in `[width, rows]`: `Op::Embed` or `Op::PosEmbed`.
    pub fn lookup(
        &mut self,
        op: Op,
        weight: &str,
        width: usize,
        rows: usize,
        checkpoint: Checkpoint,
    ) -> Result<NodeId, ModelError> {
        self.expect(weight, &[width, rows])?;
        let id = self.op(op, &[], width, checkpoint);
        self.nodes[id.index()].weight = Some(weight.to_owned());
        Ok(id)
    }

    /// A norm of the whole row with weight `NAME.weight`, and `NAME.bias` where the op is a
    /// LayerNorm.
    pub fn norm(
        &mut self,
        op: Op,
        input: NodeId,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<NodeId, ModelError> {
        let width = self.width(input);
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.expect(&weight, &[width])?;
        let bias = if matches!(op, Op::LayerNorm { .. }) {
            self.expect(&bias, &[width])?;
            Some(bias)
        } else {
            None
        };
        let id = self.op(op, &[input], width, checkpoint);
        let node = &mut self.nodes[id.index()];
        (node.weight, node.bias) = (Some(weight), bias);
        Ok(id)
    }

    /// An RMSNorm of each group of `group` values (a head), all with the same weight `NAME.weight`.
    pub fn group_norm(
        &mut self,
        eps: f32,
        input: NodeId,
        group: usize,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<NodeId, ModelError> {
        let weight = format!("{name}.weight");
        self.expect(&weight, &[group])?;
        let width = self.width(input);
        let id = self.op(Op::RmsNorm { eps, group }, &[input], width, checkpoint);
        self.nodes[id.index()].weight = Some(weight);
        Ok(self.shaped(id, &[group, width / group]))
    }

    /// weight · input (+ bias, if the file has `NAME.bias` and `bias` allows it).
    pub fn mat_mul(
        &mut self,
        input: NodeId,
        weight: &str,
        width: usize,
        bias: Bias,
        checkpoint: impl Into<Option<Checkpoint>>,
    ) -> Result<NodeId, ModelError> {
        let n_in = self.width(input);
        self.expect(weight, &[n_in, width])?;
        let bias_name = weight.strip_suffix(".weight").map(|stem| format!("{stem}.bias"));
        let bias = match (bias, bias_name) {
            (Bias::IfPresent, Some(name)) if self.has(&name) => {
                self.expect(&name, &[width])?;
                Some(name)
            }
            _ => None,
        };
        let id = self.op(Op::MatMul, &[input], width, checkpoint);
        let node = &mut self.nodes[id.index()];
        (node.weight, node.bias) = (Some(weight.to_owned()), bias);
        Ok(id)
    }

    /// A projection known by `plain`, or, where the file has a bias for it, by `before` without and
    /// by `plain` with the bias.
    pub fn projection(
        &mut self,
        input: NodeId,
        name: &str,
        width: usize,
        before: Checkpoint,
        plain: Checkpoint,
    ) -> Result<NodeId, ModelError> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        if !self.has(&bias) {
            return self.mat_mul(input, &weight, width, Bias::Never, plain);
        }
        self.expect(&bias, &[width])?;
        let product = self.mat_mul(input, &weight, width, Bias::Never, before)?;
        let sum = self.op(Op::AddBias, &[product], width, plain);
        self.nodes[sum.index()].weight = Some(bias);
        Ok(sum)
    }

    /// Gives a node's output a shape of several axes, fastest first.
    pub fn shaped(&mut self, id: NodeId, shape: &[usize]) -> NodeId {
        debug_assert_eq!(shape.iter().product::<usize>(), self.width(id));
        self.nodes[id.index()].shape = shape.to_vec();
        id
    }

    /// The finished graph.
    pub fn finish(mut self, n_layer: usize, n_embd: usize, n_vocab: usize, n_ctx: usize) -> Graph {
        for node in &mut self.nodes {
            let tensor = node.weight.as_deref().and_then(|name| self.gguf.tensor(name));
            node.weight_type = tensor.map(|t| t.weight_type);
        }
        Graph { nodes: self.nodes, n_layer, n_embd, n_vocab, n_ctx }
    }

    fn push(&mut self, mut node: Node) -> NodeId {
        if node.op.grows() {
            node.shape.clear();
        }
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }
}

/// Whether a product takes the bias that the file may hold beside its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// No.
    Never,
    /// If the file has it.
    IfPresent,
}
