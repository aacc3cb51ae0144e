//! What is recomputed at once: a recorded node and whatever lies between it and the nearest recorded
//! nodes before it.

use std::collections::BTreeSet;

use super::traced::Traced;
use crate::model::{Checkpoint, Graph, NodeId, Op, Site};

/// How a node can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// All of its inputs were recorded.
    Direct,
    /// Attention from query, keys and values, where no scores were recorded.
    Whole,
    /// Recomputed from further back: this many operations that round lie before it.
    Bridged(usize),
}

/// A recorded node with the nodes that lead to it.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// In order of execution; the last one is judged.
    pub nodes: Vec<NodeId>,
    /// Recorded nodes that it reads.
    pub sources: Vec<NodeId>,
    /// How far back it reaches.
    pub reach: Reach,
}

impl Stretch {
    /// The node that is judged.
    pub fn output(&self) -> NodeId {
        self.nodes.last().copied().unwrap_or(NodeId(0))
    }

    /// The stretch that ends in `output`.
    pub fn find(graph: &Graph, traced: &Traced<'_>, output: NodeId) -> Self {
        Self::around(graph, traced, output, None)
    }

    /// The same, as if `hidden` had not been recorded.
    pub fn around(graph: &Graph, traced: &Traced<'_>, output: NodeId, hidden: Option<NodeId>) -> Self {
        let (mut inside, mut sources) = (BTreeSet::from([output]), BTreeSet::new());
        let mut open = vec![output];
        while let Some(id) = open.pop() {
            for &input in &graph.node(id).inputs {
                if traced.full(input).is_empty() || hidden == Some(input) {
                    if inside.insert(input) {
                        open.push(input);
                    }
                } else {
                    sources.insert(input);
                }
            }
        }
        let nodes: Vec<NodeId> = inside.into_iter().collect();
        let before = &nodes[..nodes.len() - 1];
        // What is only a part of something recorded, or has no name of its own, costs nothing.
        let rounds = |id: &&NodeId| {
            let node = graph.node(**id);
            !matches!(node.op, Op::Slice { .. }) && node.checkpoint.is_some()
        };
        let is_attention = |id: &&NodeId| {
            let site = graph.node(**id).checkpoint.map(Checkpoint::site);
            matches!(site, Some(Site::Kq | Site::KqSoftMax))
        };
        let (rounding, attention) =
            (before.iter().filter(rounds).count(), before.iter().filter(rounds).filter(is_attention).count());
        let reach = match (rounding, attention) {
            (0, _) => Reach::Direct,
            (2, 2) => Reach::Whole,
            (n, _) => Reach::Bridged(n),
        };
        Self { nodes, sources: sources.into_iter().collect(), reach }
    }
}
