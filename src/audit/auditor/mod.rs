//! Whoever audits a run: evaluates cells, judges them, and remembers what was found.

mod cells;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::AuditError;
use super::arithmetic::{Circumstance, EXACT};
use super::choice::{Choice, Habits};
use super::findings::{Coverage, FaultyNode};
use super::judge::Deviation;
use super::kind::Kind;
use super::machine::Machine;
use super::stretch::{Reach, Stretch};
use super::traced::Traced;
use crate::model::{Graph, Node, NodeId};

pub use cells::WIDE;

/// One judged cell.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub position: u32,
    pub deviation: Deviation,
    pub ties: usize,
}

/// What was found faulty, to be explained.
pub(super) struct Finding {
    /// The stretch that ends in it.
    pub stretch: Stretch,
    /// The arithmetic that it is held to.
    pub choice: Choice,
    /// Faulty positions, worst first.
    pub faulty: Vec<u32>,
    /// Positions at which it is explained.
    pub clean: Vec<u32>,
    /// Largest relative deviation and largest severity.
    pub worst: (f64, f64),
    /// How far off it is at each faulty position.
    pub before: BTreeMap<u32, Deviation>,
}

/// Evaluates, judges and keeps count.
pub(super) struct Auditor<'a> {
    pub machine: Machine<'a>,
    pub habits: Habits,
    pub choices: BTreeMap<Kind, Choice>,
    pub kinds: BTreeMap<Kind, Tally>,
    pub faulty: Vec<FaultyNode>,
    pub findings: Vec<Finding>,
    /// By directly judged node: positions at which it is explained.
    pub clean: BTreeMap<NodeId, BTreeSet<u32>>,
    pub coverage: Coverage,
    pub stop: Option<Arc<AtomicBool>>,
    /// The only checkpoints that are looked at, if not all.
    pub only: Option<regex::Regex>,
}

/// What is counted of one kind.
#[derive(Default)]
pub(super) struct Tally {
    pub nodes: usize,
    pub cells: usize,
    pub otherwise: BTreeMap<&'static str, usize>,
    pub ties: usize,
    pub deviations: Vec<f64>,
    pub floor: f64,
    pub worst_value: f64,
    pub faulty: usize,
}

impl<'a> Auditor<'a> {
    pub fn new(machine: Machine<'a>) -> Self {
        Self {
            machine,
            habits: Habits::default(),
            choices: BTreeMap::new(),
            kinds: BTreeMap::new(),
            faulty: Vec::new(),
            findings: Vec::new(),
            clean: BTreeMap::new(),
            coverage: Coverage::default(),
            stop: None,
            only: None,
        }
    }

    /// Fails once the audit was called off.
    pub fn go_on(&self) -> Result<(), AuditError> {
        let stopped = self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped { Err(AuditError::Stopped) } else { Ok(()) }
    }

    pub fn graph(&self) -> &'a Graph {
        self.machine.graph()
    }

    pub fn traced(&self) -> &'a Traced<'a> {
        self.machine.traced()
    }

    pub fn kind(&self, stretch: &Stretch, position: u32) -> Kind {
        let id = stretch.output();
        let columns = self.traced().columns(position);
        Kind::of(self.graph().node(id), self.machine.weight_type(id), columns, stretch.reach)
    }

    pub fn circumstance(&self, stretch: &Stretch, columns: Option<u32>) -> Circumstance<'a> {
        Circumstance {
            weights: self.machine.weight_type(stretch.output()),
            columns,
            header: self.traced().store().header(),
            fused: stretch.reach == Reach::Whole,
        }
    }

    /// Whether a node is looked at.
    pub fn is_asked(&self, node: &Node) -> bool {
        let Some(checkpoint) = node.checkpoint else { return false };
        self.only.as_ref().is_none_or(|only| only.is_match(&checkpoint.to_string()))
    }

    /// Positions at which a directly judged node is explained, if it is never faulty and ever judged.
    pub fn clean_positions(&self, id: NodeId) -> Option<Vec<u32>> {
        let is_faulty = self.findings.iter().any(|f| f.stretch.output() == id)
            || self.faulty.iter().any(|f| self.graph().node(id).checkpoint == Some(f.checkpoint));
        let clean = self.clean.get(&id).filter(|clean| !clean.is_empty() && !is_faulty)?;
        Some(clean.iter().copied().collect())
    }

    /// The stretch that ends in `id`, and what it is held to at `position`.
    pub fn as_judged(&self, id: NodeId, position: u32) -> (Stretch, Choice) {
        let stretch = Stretch::find(self.graph(), self.traced(), id);
        let choice = self.choices.get(&self.kind(&stretch, position)).copied();
        (stretch, choice.unwrap_or(Choice::Rule(&EXACT)))
    }
}
