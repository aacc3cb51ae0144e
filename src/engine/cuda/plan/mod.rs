//! A whole step as launches, in order, with what can be joined joined.
//!
//! Joined: a norm with the products that read it, products of one row with each other and with the sum
//! or the activation behind them, the rotations with the writes to the cache, attention as a whole. What
//! is left between is left in memory all the same, so that taps change nothing. Where an output is to be
//! replaced from outside, whoever reads it comes in a launch of its own.

mod attention;
mod batch;
mod products;

use std::collections::BTreeSet;
use std::ops::Range;

use cudarc::driver::CudaStream;

use super::error::CudaError;
use super::history::{Format, History};
use super::launch::Launch;
use super::layout::{Layout, Place};
use super::operations::{Operand, Operands, Operations, unexpected};
use crate::model::{Graph, NodeId, Op};

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

    /// Takes a launch in behind all others.
    pub fn push(&mut self, launch: Launch) {
        self.launches.push(launch);
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
    /// The part of it that is planned; what lies before is there already.
    pub nodes: Range<usize>,
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
        let done = (0..nodes.len()).map(|index| index < self.nodes.start).collect();
        let mut draft = Draft { plan, done, norms: BTreeSet::new(), unstored: Vec::new() };
        for (table, node) in self.operations.scratch.tables() {
            let Op::Rope(rope) = &nodes[node].op else { continue };
            draft.add([self.operations.rope_table(node, rope, table)?], &[]);
        }
        for index in self.nodes.clone() {
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

    /// Planned nodes that read node number `index`, in order.
    fn readers(&self, index: usize) -> impl Iterator<Item = usize> {
        let id = NodeId(index as u32);
        let nodes = self.graph.nodes[..self.nodes.end].iter().enumerate().skip(index + 1);
        nodes.filter(move |(_, node)| node.inputs.contains(&id)).map(|(reader, _)| reader)
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
