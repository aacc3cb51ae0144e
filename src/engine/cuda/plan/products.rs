//! Products with the norm in front of them and what follows them.

use super::{Draft, Planner};
use crate::engine::cuda::arguments::{Gated, Part};
use crate::engine::cuda::error::CudaError;
use crate::engine::cuda::operations::{Operations, activation, unexpected};
use crate::engine::cuda::weights::Matrix;
use crate::model::{Node, NodeId, Op};

/// Products that one launch takes.
const JOINED: usize = 3;

impl Planner<'_> {
    pub(super) fn norm(&self, index: usize, draft: &mut Draft) -> Result<(), CudaError> {
        let node = &self.graph.nodes[index];
        let whole = !matches!(node.op, Op::RmsNorm { group, .. } if group != node.width);
        let readers: Vec<usize> = self.readers(index).collect();
        if self.pauses.contains(&index) {
            return self.alone(index, draft);
        }
        let fast = |reader: &usize| self.matrix(*reader).is_some_and(|matrix| self.is_fast(matrix));
        if whole && !readers.is_empty() && readers.iter().all(fast) {
            draft.norms.insert(index);
            draft.done[index] = true;
            return Ok(());
        }
        if let (Op::RmsNorm { .. }, Some((sum, residual))) = (&node.op, self.sum_behind(index, draft)) {
            let (x, out) = (self.input(index, 0)?, self.address(index)?);
            let launch = self.operations.norm_and_add(node, x, out, residual, self.address(sum)?)?;
            draft.add([launch], &[index, sum]);
            return Ok(());
        }
        self.alone(index, draft)
    }

    /// Products of one row and one type, with sums or an activation behind them.
    pub(super) fn products(&self, index: usize, draft: &mut Draft) -> Result<(), CudaError> {
        let nodes = &self.graph.nodes;
        let matrix = self.matrix(index).ok_or_else(unexpected)?;
        let source = nodes[index].inputs[0].index();
        let row = if draft.norms.remove(&source) {
            self.operations.normed(&nodes[source], self.input(source, 0)?, self.address(source)?)?
        } else {
            Operations::row(matrix, self.address(source)?)
        };
        let normed = (row.norm != 0).then_some(source);
        let mut joined = vec![index];
        joined.extend(
            self.readers(source)
                .filter(|&other| other > index && !draft.done[other])
                .filter(|&other| self.matrix(other).is_some_and(|m| m.weight_type == matrix.weight_type)),
        );
        joined.truncate(JOINED);

        if let (&[gate, up], true) = (joined.as_slice(), self.is_fast(matrix))
            && let Some(gated) = self.activation_behind(gate, up)
        {
            let both = Gated {
                gate: self.part(gate)?,
                up: self.part(up)?,
                out: self.address(gated)?,
                activation: activation(&nodes[gated].op),
                padding: 0,
            };
            let mut complete = vec![gate, up, gated];
            complete.extend(normed);
            draft.add([self.operations.gated(matrix, row, both)?], &complete);
            return Ok(());
        }
        if let (&[both], true) = (joined.as_slice(), self.is_fast(matrix))
            && let Some((halves, gated)) = self.halves(both, matrix)?
        {
            let mut complete = vec![both, gated];
            complete.extend(normed);
            draft.add([self.operations.gated(matrix, row, halves)?], &complete);
            return Ok(());
        }
        let (mut parts, mut complete) = (Vec::new(), joined.clone());
        for &product in &joined {
            let mut part = self.part(product)?;
            if let Some((sum, residual)) = self.sum_behind(product, draft) {
                part = Part { residual, sum: self.address(sum)?, ..part };
                complete.push(sum);
            }
            parts.push(part);
        }
        complete.extend(normed);
        draft.add([self.operations.product(matrix, row, &parts)?], &complete);
        for index in complete {
            self.keep(index, draft);
        }
        Ok(())
    }

    /// The sum of node number `index` with something that is there already: its node, and the address of
    /// the other summand.
    fn sum_behind(&self, index: usize, draft: &Draft) -> Option<(usize, u64)> {
        if self.pauses.contains(&index) {
            return None;
        }
        self.readers(index).find_map(|reader| {
            let node = &self.graph.nodes[reader];
            let other = match node.op {
                Op::AddBias => {
                    Some(self.operations.weights.vector(node.weight.as_deref())).filter(|&at| at != 0)
                }
                Op::Add => {
                    let other = node.inputs.iter().find(|id| id.index() != index)?.index();
                    draft.done[other].then(|| self.address(other).ok()).flatten()
                }
                _ => None,
            };
            Some((reader, other?)).filter(|(reader, _)| !draft.done[*reader])
        })
    }

    /// The activation of `gate` times `up`.
    fn activation_behind(&self, gate: usize, up: usize) -> Option<usize> {
        let nodes = &self.graph.nodes;
        let inputs = [NodeId(gate as u32), NodeId(up as u32)];
        let paused = self.pauses.contains(&gate) || self.pauses.contains(&up);
        let gated = |node: &Node| matches!(node.op, Op::SwiGlu | Op::Gelu) && node.inputs == inputs;
        let found = self.readers(up).find(|&reader| gated(&nodes[reader]));
        found.filter(|_| !paused && nodes[gate].width == nodes[up].width)
    }

    /// Gate and up as the halves of one matrix, with the activation behind them.
    fn halves(&self, index: usize, matrix: Matrix) -> Result<Option<(Gated, usize)>, CudaError> {
        let nodes = &self.graph.nodes;
        let id = NodeId(index as u32);
        let swiglu = |node: &Node| matches!(node.op, Op::SwiGlu) && node.inputs == [id];
        let Some(gated) = self.readers(index).find(|&reader| swiglu(&nodes[reader])) else { return Ok(None) };
        let width = nodes[gated].width;
        let offset = (width * matrix.row_bytes()) as u64;
        if self.pauses.contains(&index) || nodes[index].width != 2 * width || !offset.is_multiple_of(16) {
            return Ok(None);
        }
        let whole = self.part(index)?;
        let bias = |half: u64| if whole.bias == 0 { 0 } else { whole.bias + half * width as u64 * 4 };
        let half = |half: u64| Part {
            weight: whole.weight + half * offset,
            bias: bias(half),
            y: whole.y + half * width as u64 * 4,
            n_out: width as i32,
            ..Part::default()
        };
        let halves = Gated {
            gate: half(0),
            up: half(1),
            out: self.address(gated)?,
            activation: activation(&nodes[gated].op),
            padding: 0,
        };
        Ok(Some((halves, gated)))
    }

    /// The matrix of a product.
    fn matrix(&self, index: usize) -> Option<Matrix> {
        let node = &self.graph.nodes[index];
        let is_product = matches!(node.op, Op::MatMul);
        is_product.then(|| self.operations.weights.matrix(node.weight.as_deref()).ok()).flatten()
    }

    fn is_fast(&self, matrix: Matrix) -> bool {
        matches!(self.operations.fast(matrix), Ok(Some(_)))
    }

    fn part(&self, index: usize) -> Result<Part, CudaError> {
        self.operations.part(&self.graph.nodes[index], self.address(index)?)
    }
}
