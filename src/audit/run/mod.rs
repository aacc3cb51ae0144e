//! The course of an audit: find each kind's arithmetic on a few cells, then hold every cell to it.

mod cells;
mod fit;
mod outcome;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::AuditError;
use super::arithmetic::{Circumstance, EXACT};
use super::choice::{Choice, Habits};
use super::findings::{Audit, Coverage, FaultyNode};
use super::hypotheses::Finding;
use super::judge::Deviation;
use super::kind::Kind;
use super::machine::Machine;
use super::stretch::{Reach, Stretch};
use super::traced::Traced;
use super::turned::is_turned;
use crate::gguf::Gguf;
use crate::model::{Graph, NodeId};
use crate::trace::Store;

/// What is audited.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these positions.
    pub positions: Option<BTreeSet<u32>>,
    /// Only checkpoints with such names.
    pub checkpoints: Option<regex::Regex>,
    /// Once this is true, the audit ends with [`AuditError::Stopped`].
    pub stop: Option<Arc<AtomicBool>>,
}

/// One stretch with the positions at which its output was recorded.
struct Task {
    stretch: Stretch,
    positions: Vec<u32>,
}

/// One judged cell.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub position: u32,
    pub deviation: Deviation,
    pub ties: usize,
}

/// Audits the run in `store` against the model.
///
/// `progress` is told how many cells are done, of how many.
pub fn audit(
    gguf: &Arc<Gguf>,
    graph: &Graph,
    store: &Store,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Audit, AuditError> {
    let mut traced = Traced::new(store, graph);
    traced.infer_tokens(gguf)?;
    if is_turned(gguf, graph, &traced)? {
        traced.turn_back();
    }
    let machine = Machine::new(gguf, graph, &traced);
    let mut auditor = Auditor::new(machine);
    auditor.stop.clone_from(&options.stop);
    let tasks = auditor.tasks(options);
    auditor.fit(&tasks)?;
    let total = tasks.iter().map(|t| t.positions.len()).sum();
    let mut done = 0;
    for task in &tasks {
        auditor.verify(task)?;
        done += task.positions.len();
        progress(done, total);
    }
    auditor.drop_knock_on();
    auditor.explain(&mut |_| progress(done, total))?;
    Ok(auditor.finish())
}

/// Evaluates, judges and keeps count.
pub(super) struct Auditor<'a> {
    pub machine: Machine<'a>,
    pub habits: Habits,
    choices: BTreeMap<Kind, Choice>,
    kinds: BTreeMap<Kind, Tally>,
    faulty: Vec<FaultyNode>,
    findings: Vec<Finding>,
    /// By directly judged node: positions at which it is explained.
    clean: BTreeMap<NodeId, BTreeSet<u32>>,
    coverage: Coverage,
    stop: Option<Arc<AtomicBool>>,
}

#[derive(Default)]
struct Tally {
    nodes: usize,
    cells: usize,
    otherwise: BTreeMap<&'static str, usize>,
    ties: usize,
    deviations: Vec<f64>,
    floor: f64,
    worst_value: f64,
    faulty: usize,
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
        }
    }

    /// Fails once the audit was called off.
    pub(super) fn go_on(&self) -> Result<(), AuditError> {
        let stopped = self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped { Err(AuditError::Stopped) } else { Ok(()) }
    }

    pub(super) fn graph(&self) -> &'a Graph {
        self.machine.graph()
    }

    pub(super) fn traced(&self) -> &'a Traced<'a> {
        self.machine.traced()
    }

    fn tasks(&mut self, options: &Options) -> Vec<Task> {
        let (graph, traced) = (self.graph(), self.traced());
        self.coverage.positions = traced.store().positions().count();
        self.coverage.foreign = traced.foreign().clone();
        self.coverage.inferred = traced.inferred();
        self.coverage.padded = traced.padded().map(|found| (found, graph.n_vocab));
        let mut tasks = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let Some(checkpoint) = node.checkpoint else { continue };
            self.coverage.nodes += 1;
            let id = NodeId(index as u32);
            let recorded = traced.any(id);
            self.coverage.recorded += usize::from(!recorded.is_empty());
            if options.checkpoints.as_ref().is_some_and(|r| !r.is_match(&checkpoint.to_string())) {
                continue;
            }
            let wanted = |p: &u32| options.positions.as_ref().is_none_or(|only| only.contains(p));
            let positions: Vec<u32> = recorded.into_iter().filter(wanted).collect();
            if !positions.is_empty() {
                tasks.push(Task { stretch: Stretch::find(graph, traced, id), positions });
            }
        }
        for (checkpoint, count) in traced.misshapen() {
            let reason = format!("{checkpoint} was recorded in another shape than the model's");
            *self.coverage.unjudged.entry(reason).or_default() += count;
        }
        tasks
    }

    pub(super) fn kind(&self, stretch: &Stretch, position: u32) -> Kind {
        let id = stretch.output();
        let columns = self.traced().columns(position);
        Kind::of(self.graph().node(id), self.machine.weight_type(id), columns, stretch.reach)
    }

    pub(super) fn circumstance(&self, stretch: &Stretch, columns: Option<u32>) -> Circumstance<'a> {
        Circumstance {
            weights: self.machine.weight_type(stretch.output()),
            columns,
            header: self.traced().store().header(),
            fused: stretch.reach == Reach::Whole,
        }
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
