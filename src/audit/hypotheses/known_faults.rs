//! The mistakes that our own engine can be told to make: the same rewrite explains a node and
//! breaks one.

use super::{Case, Hypothesis, Trial};
use crate::audit::AuditError;
use crate::audit::auditor::Auditor;
use crate::audit::change::Change;
use crate::fault::FAULTS;
use crate::model::{Checkpoint, NodeId};

/// See the module.
pub struct KnownFaults;

impl Hypothesis for KnownFaults {
    fn id(&self) -> &'static str {
        "known-fault"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let mut trials = Vec::new();
        for fault in FAULTS {
            // Made in every node that was bridged, as an engine would make it.
            let made = |id: NodeId| {
                let mut node = case.graph().node(id).clone();
                let changes = fault.apply(&mut node, case.graph()) && node != *case.graph().node(id);
                changes.then(|| Change::to(id, node))
            };
            let mut changes = case.bridged().iter().filter_map(|&id| made(id));
            if let Some(mut change) = changes.next() {
                change.also = changes.collect();
                trials.push(Trial {
                    mistake: Some(fault.id()),
                    kin: fault.catalogue(),
                    says: fault.title().to_owned(),
                    change,
                });
            }
        }
        trials
    }
}

/// Whether the fault called `mistake` would also have changed another recorded operation of the same
/// layer that is clean, and visibly so: then it is not all that was done, or something else was.
pub fn is_contradicted(auditor: &Auditor<'_>, target: NodeId, mistake: &str) -> Result<bool, AuditError> {
    let Some(fault) = FAULTS.iter().find(|f| f.id() == mistake) else { return Ok(false) };
    let graph = auditor.machine.graph();
    let layer = |id: NodeId| graph.node(id).checkpoint.and_then(Checkpoint::layer_index);
    for index in 0..graph.nodes.len() {
        let id = NodeId(index as u32);
        if id == target || layer(id) != layer(target) {
            continue;
        }
        let Some(clean) = auditor.clean_positions(id) else { continue };
        let mut node = graph.node(id).clone();
        if !fault.apply(&mut node, graph) || node == *graph.node(id) {
            continue;
        }
        let (stretch, choice) = auditor.as_judged(id, clean[0]);
        let change = Change::to(id, node);
        let tried =
            super::judged(auditor, &stretch, choice, &change, &super::sample(&clean, super::SAMPLE), None)?;
        if tried.iter().any(|j| !j.deviation.is_explained()) {
            return Ok(true);
        }
    }
    Ok(false)
}
