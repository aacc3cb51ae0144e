//! A whole step as launches, in order, with what can be joined joined.
//!
//! Joined: a norm with the products that read it, products of one row with each other and with the sum
//! or the activation behind them, the rotations with the writes to the cache, attention as a whole. What
//! is left between is left in memory all the same, so that taps change nothing. Where an output is to be
//! replaced from outside, whoever reads it comes in a launch of its own.

use std::collections::BTreeSet;

use cudarc::driver::CudaStream;

use super::error::CudaError;
use super::history::{Format, History};
use super::launch::{Gated, Launch, Part, Row};
use super::layout::{Layout, Place};
use super::operations::{AttendOperands, Operand, Operands, Operations, activation, turn, unexpected};
use super::scratch::AttendShape;
use super::weights::Matrix;
use crate::model::graph::{Attention, Rope};
use crate::model::{Graph, Node, NodeId, Op};

/// Products that one launch takes.
const JOINED: usize = 3;

/// The launches of one step.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    launches: Vec<Launch>,
    /// By node: launches after which its output is complete, and before which nobody reads it who comes
    /// in another one.
    ready: Vec<usize>,
}

impl Plan {
    /// Puts all launches on the stream.
    pub fn run(&self, stream: &CudaStream, overlap: bool) -> Result<(), CudaError> {
        self.put(0, self.launches.len(), stream, overlap)
    }

    /// Puts all launches on the stream, and calls `pause` for each of `nodes` when its output is complete
    /// and not yet read. The plan has to be made for pauses at these.
    pub fn run_with_pauses(
        &self,
        stream: &CudaStream,
        nodes: &BTreeSet<usize>,
        mut pause: impl FnMut(usize) -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let mut order: Vec<(usize, usize)> = nodes.iter().map(|&node| (self.ready[node], node)).collect();
        order.sort_unstable();
        let mut done = 0;
        for (ready, node) in order {
            self.put(done, ready, stream, false)?;
            done = ready;
            pause(node)?;
        }
        self.put(done, self.launches.len(), stream, false)
    }

    /// The first kernel follows a transfer, for which no kernel waits by itself.
    fn put(&self, from: usize, to: usize, stream: &CudaStream, overlap: bool) -> Result<(), CudaError> {
        let launches = self.launches[from..to].iter().enumerate();
        launches.into_iter().try_for_each(|(i, launch)| launch.run(stream, overlap && i > 0))
    }

    /// Launches in a step.
    pub fn len(&self) -> usize {
        self.launches.len()
    }
}

/// Makes a plan.
pub struct Planner<'a> {
    /// The step.
    pub graph: &'a Graph,
    /// What nodes are launched as.
    pub operations: &'a Operations<'a>,
    /// Where outputs lie.
    pub layout: &'a Layout,
    /// Address of the arena.
    pub arena: u64,
    /// The cache.
    pub history: &'a History,
    /// Nodes whose outputs are replaced.
    pub pauses: &'a BTreeSet<usize>,
}

/// A plan in the making.
struct Draft {
    plan: Plan,
    done: Vec<bool>,
    /// Norms that the first product to read them computes.
    norms: BTreeSet<usize>,
    /// Kept nodes that are not in the cache yet.
    unstored: Vec<usize>,
}

impl Draft {
    /// Takes launches in, after which `nodes` are complete.
    fn add(&mut self, launches: impl IntoIterator<Item = Launch>, nodes: &[usize]) {
        self.plan.launches.extend(launches);
        for &node in nodes {
            self.done[node] = true;
            self.plan.ready[node] = self.plan.launches.len();
        }
    }
}

impl Planner<'_> {
    /// The plan.
    pub fn plan(&self) -> Result<Plan, CudaError> {
        let nodes = &self.graph.nodes;
        let plan = Plan { launches: Vec::new(), ready: vec![0; nodes.len()] };
        let mut draft =
            Draft { plan, done: vec![false; nodes.len()], norms: BTreeSet::new(), unstored: Vec::new() };
        for (table, node) in self.operations.scratch.tables() {
            let Op::Rope(rope) = &nodes[node].op else { continue };
            draft.add([self.operations.rope_table(node, rope, table)?], &[]);
        }
        for index in 0..nodes.len() {
            if !draft.done[index] {
                self.node(index, &mut draft)?;
            }
        }
        Ok(draft.plan)
    }

    /// Node number `index` and whatever can join it.
    fn node(&self, index: usize, draft: &mut Draft) -> Result<(), CudaError> {
        let node = &self.graph.nodes[index];
        match &node.op {
            Op::RmsNorm { .. } | Op::LayerNorm { .. } => self.norm(index, draft),
            Op::MatMul => self.products(index, draft),
            Op::Rope(rope) => self.rope(index, rope, draft),
            Op::Scores(a) => self.attention(index, a, draft),
            Op::Slice { .. } if self.layout.is_alias(index) => {
                draft.add([], &[index]);
                self.keep(index, draft);
                Ok(())
            }
            _ => self.alone(index, draft),
        }
    }

    fn alone(&self, index: usize, draft: &mut Draft) -> Result<(), CudaError> {
        let launches = self.operations.of(index, &self.graph.nodes[index], &self.operands(index))?;
        draft.add(launches, &[index]);
        self.keep(index, draft);
        Ok(())
    }

    /// Remembers to store a node that is kept.
    fn keep(&self, index: usize, draft: &mut Draft) {
        if self.history.of(index).is_some() {
            draft.unstored.push(index);
        }
    }

    fn norm(&self, index: usize, draft: &mut Draft) -> Result<(), CudaError> {
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
    fn products(&self, index: usize, draft: &mut Draft) -> Result<(), CudaError> {
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

    /// The query's rotation, with the key's, the scale behind it, and the writes to the cache.
    fn rope(&self, query: usize, rope: &Rope, draft: &mut Draft) -> Result<(), CudaError> {
        let nodes = &self.graph.nodes;
        let table = self.operations.scratch.table_of(query).ok_or_else(unexpected)?;
        let alike = |other: &Node| match &other.op {
            Op::Rope(r) => Rope { heads: rope.heads, ..r.clone() } == *rope,
            _ => false,
        };
        let key = (query + 1..nodes.len().min(query + 4)).find(|&other| {
            !draft.done[other]
                && alike(&nodes[other])
                && draft.done[nodes[other].inputs[0].index()]
                && self.operations.scratch.table_of(other) == Some(table)
        });
        let value = draft.unstored.first().copied();
        let scaled = self.readers(query).find(|&reader| matches!(nodes[reader].op, Op::Scale { .. }));
        let together =
            [Some(query), key, value].into_iter().flatten().all(|node| !self.pauses.contains(&node));
        let (Some(key), Some(value), true, 1) = (key, value, together, draft.unstored.len()) else {
            let turn = turn(rope, self.input(query, 0)?, self.address(query)?);
            draft.add([self.operations.rope(rope, table, turn)?], &[query]);
            self.keep(query, draft);
            return Ok(());
        };
        let Some(key_row) = self.row(key)? else { return Err(unexpected()) };
        let Some(value_row) = self.row(value)? else { return Err(unexpected()) };
        let Op::Rope(key_rope) = &nodes[key].op else { return Err(unexpected()) };
        let mut turns = [
            turn(rope, self.input(query, 0)?, self.address(query)?),
            turn(key_rope, self.input(key, 0)?, self.address(key)?),
        ];
        let mut complete = vec![query, key];
        if let Some(scaled) = scaled
            && let Op::Scale { factor } = nodes[scaled].op
        {
            (turns[0].scaled, turns[0].factor) = (self.address(scaled)?, factor);
            complete.push(scaled);
        }
        let format = self.history.format;
        let launch = self.operations.rope_and_store(rope, table, turns, [key_row, value_row], format)?;
        draft.unstored.clear();
        draft.add([launch], &complete);
        Ok(())
    }

    fn attention(&self, scores: usize, a: &Attention, draft: &mut Draft) -> Result<(), CudaError> {
        let nodes = &self.graph.nodes;
        let rows = draft.unstored.drain(..).map(|node| self.row(node)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        for pair in rows.chunks(2) {
            let launch = self.operations.store(pair, self.history.format)?;
            draft.add([launch], &[]);
        }
        let follows = |index: usize, input: usize| {
            let node = nodes.get(index)?;
            (node.inputs.first() == Some(&NodeId(input as u32)) && node.op.attention() == Some(a))
                .then_some(node)
        };
        let (soft_max, mix) = (scores + 1, scores + 2);
        let shape = AttendShape::of(a, self.operations.multiprocessors);
        let whole = follows(soft_max, scores).is_some()
            && follows(mix, soft_max).is_some()
            && ![scores, soft_max].iter().any(|node| self.pauses.contains(node));
        let (Some(shape), true) = (shape, whole) else { return self.alone(scores, draft) };
        let kept = |input: NodeId| self.history.of(input.index()).map(|(address, _)| address);
        let (Some(keys), Some(values)) = (kept(nodes[scores].inputs[1]), kept(nodes[mix].inputs[1])) else {
            return Err(unexpected());
        };
        let shown = |node: usize| self.layout.captured[node];
        let probabilities = shown(soft_max).then(|| self.place(soft_max).growing()).transpose()?;
        let wanted = shown(scores) || shown(soft_max);
        let operands = AttendOperands {
            shape,
            query: self.input(scores, 0)?,
            keys,
            values,
            format: self.history.format,
            scores: wanted.then(|| self.place(scores).growing()).transpose()?,
            probabilities,
            out: self.address(mix)?,
        };
        draft.add(self.operations.attend(a, &operands)?, &[scores, soft_max, mix]);
        Ok(())
    }

    /// Nodes that read node number `index`, in order.
    fn readers(&self, index: usize) -> impl Iterator<Item = usize> {
        let id = NodeId(index as u32);
        let nodes = self.graph.nodes.iter().enumerate().skip(index + 1);
        nodes.filter(move |(_, node)| node.inputs.contains(&id)).map(|(reader, _)| reader)
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

    /// A kept node's row for the cache.
    fn row(&self, index: usize) -> Result<Option<Row>, CudaError> {
        let Some((cache, rows)) = self.history.of(index) else { return Ok(None) };
        let values = self.address(index)?;
        Ok(Some(Row { values, cache, width: rows.width as i32, shift: rows.shift }))
    }

    fn place(&self, index: usize) -> Operand {
        match self.layout.places[index] {
            Place::Fixed(at) => Operand::Fixed(self.arena + at as u64),
            Place::Growing { base, before } => Operand::Growing(self.arena + base as u64, before as i32),
        }
    }

    fn address(&self, index: usize) -> Result<u64, CudaError> {
        self.place(index).fixed()
    }

    fn input(&self, index: usize, input: usize) -> Result<u64, CudaError> {
        let id = self.graph.nodes[index].inputs.get(input).ok_or_else(unexpected)?;
        self.address(id.index())
    }

    fn operands(&self, index: usize) -> Operands {
        let node = &self.graph.nodes[index];
        let kept = node.op.history_input().and_then(|input| self.history.of(node.inputs[input].index()));
        let history: Option<(u64, Format)> = kept.map(|(address, _)| (address, self.history.format));
        Operands {
            inputs: node.inputs.iter().map(|id| self.place(id.index())).collect(),
            history,
            out: self.place(index),
        }
    }
}
