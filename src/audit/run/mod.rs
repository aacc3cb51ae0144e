//! The course of an audit: find each kind's arithmetic on a few cells, then hold every cell to it.

mod fit;
mod outcome;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::AuditError;
use super::auditor::Auditor;
use super::findings::Audit;
use super::machine::Machine;
use super::stretch::Stretch;
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
    auditor.only.clone_from(&options.checkpoints);
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
    // Looking for mistakes takes as long as verifying, or longer: each step counts as one more cell.
    auditor.explain(&mut |step, steps| progress(done + step, total + steps))?;
    Ok(auditor.finish())
}

impl Auditor<'_> {
    fn tasks(&mut self, options: &Options) -> Vec<Task> {
        let (graph, traced) = (self.graph(), self.traced());
        self.coverage.positions = traced.store().positions().count();
        self.coverage.foreign = traced.foreign().clone();
        self.coverage.inferred = traced.inferred();
        self.coverage.padded = traced.padded().map(|found| (found, graph.n_vocab));
        let mut tasks = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            if node.checkpoint.is_none() {
                continue;
            }
            self.coverage.nodes += 1;
            let id = NodeId(index as u32);
            let recorded = traced.any(id);
            self.coverage.recorded += usize::from(!recorded.is_empty());
            if !self.is_asked(node) {
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
}
