//! What a hypothesis sees of a faulty node.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::AuditError;
use crate::audit::auditor::Auditor;
use crate::audit::change::{Change, Execute};
use crate::audit::choice::Choice;
use crate::audit::machine::{Evaluation, Machine};
use crate::audit::stretch::{Reach, Stretch};
use crate::audit::traced::Traced;
use crate::audit::witness::Witness;
use crate::gguf::Gguf;
use crate::model::{Graph, Node, NodeId};

/// A faulty node, or one of those that lead to it.
pub struct Case<'c, 'a> {
    auditor: &'c Auditor<'a>,
    stretch: &'c Stretch,
    /// The node that may have been computed wrongly.
    pub target: NodeId,
    /// It.
    pub node: &'a Node,
    /// Faulty positions that are looked at, worst first.
    pub positions: Vec<u32>,
    /// All faulty positions, in order.
    pub faulty: Vec<u32>,
    choice: Choice,
    expected: BTreeMap<u32, Vec<f64>>,
    recorded: BTreeMap<u32, Vec<f32>>,
}

impl<'c, 'a> Case<'c, 'a> {
    /// Evaluates the right computation at `positions`.
    pub(super) fn new(
        auditor: &'c Auditor<'a>,
        stretch: &'c Stretch,
        choice: Choice,
        target: NodeId,
        positions: Vec<u32>,
    ) -> Result<Self, AuditError> {
        let node = auditor.machine.graph().node(target);
        let (mut expected, mut recorded) = (BTreeMap::new(), BTreeMap::new());
        if target == stretch.output() {
            for &position in &positions {
                let columns = auditor.machine.traced().columns(position);
                let rules = |id: NodeId| auditor.habits.rule(&auditor.machine, stretch, choice, columns, id);
                let made = auditor.machine.evaluate(stretch, &rules, &[position], Evaluation::default())?;
                for (position, computed) in made {
                    expected.insert(position, computed.values);
                }
                if let Some(row) = auditor.machine.traced().read(target, position)? {
                    recorded.insert(position, row.values);
                }
            }
        }
        let mut faulty = positions.clone();
        faulty.sort_unstable();
        Ok(Self { auditor, stretch, target, node, positions, faulty, choice, expected, recorded })
    }

    /// The same with all faulty positions.
    pub(super) fn among(mut self, faulty: &[u32]) -> Self {
        self.faulty = faulty.to_vec();
        self.faulty.sort_unstable();
        self
    }

    /// What is right at other positions, for a node that is judged from its own inputs; of products the
    /// first `rows` values.
    pub fn right(
        &self,
        positions: &[u32],
        rows: Option<usize>,
    ) -> Result<BTreeMap<u32, Vec<f64>>, AuditError> {
        let mut right = BTreeMap::new();
        let machine = self.machine();
        let mut of_columns: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        for &position in positions {
            of_columns.entry(machine.traced().columns(position)).or_default().push(position);
        }
        for (columns, positions) in of_columns {
            let rules =
                |id: NodeId| self.auditor.habits.rule(machine, self.stretch, self.choice, columns, id);
            let how = Evaluation { rows, ..Evaluation::default() };
            for (position, computed) in machine.evaluate(self.stretch, &rules, &positions, how)? {
                right.insert(position, computed.values);
            }
        }
        Ok(right)
    }

    /// The model's graph.
    pub fn graph(&self) -> &'a Graph {
        self.machine().graph()
    }

    /// The model file.
    pub fn gguf(&self) -> &'a Arc<Gguf> {
        self.machine().gguf()
    }

    /// The run.
    pub fn traced(&self) -> &'a Traced<'a> {
        self.machine().traced()
    }

    /// Whatever evaluates.
    pub fn machine(&self) -> &'c Machine<'a> {
        &self.auditor.machine
    }

    /// Whether the node's own output was recorded and is what is faulty.
    pub fn is_output(&self) -> bool {
        self.target == self.stretch.output()
    }

    /// The nodes in which a mistake would be seen here: all of the stretch for its output, else none but those
    /// that are looked at by themselves.
    pub fn bridged(&self) -> &[NodeId] {
        if self.is_output() { &self.stretch.nodes } else { std::slice::from_ref(&self.target) }
    }

    /// Whether its inputs were recorded, too.
    pub fn is_direct(&self) -> bool {
        self.is_output() && self.stretch.reach == Reach::Direct
    }

    /// What the operations that read the node say of what was recorded of it.
    pub fn witness(&self) -> Witness {
        self.auditor.witness(self.target, &self.positions).unwrap_or(Witness::Silent)
    }

    /// Recorded and right row at each position that is looked at; none for a node inside a stretch.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &[f32], &[f64])> {
        self.positions.iter().filter_map(|p| {
            let (recorded, expected) = (self.recorded.get(p)?, self.expected.get(p)?);
            (recorded.len() <= expected.len()).then_some((*p, &**recorded, &expected[..recorded.len()]))
        })
    }

    /// The recorded row of input `index` at `position`.
    pub fn input(&self, index: usize, position: u32) -> Option<Vec<f64>> {
        let id = *self.node.inputs.get(index)?;
        Some(self.traced().table(id).ok()?.row(position)?.iter().map(|&x| x.into()).collect())
    }

    /// The node with something changed.
    pub fn with(&self, change: impl FnOnce(&mut Node)) -> Change {
        let mut node = self.node.clone();
        change(&mut node);
        Change::to(self.target, node)
    }

    /// The node, executed in another way.
    pub fn executed(&self, execute: Execute) -> Change {
        Change { execute: Some(execute), ..Change::to(self.target, self.node.clone()) }
    }
}
