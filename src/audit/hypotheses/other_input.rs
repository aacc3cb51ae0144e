//! The operation is right but reads something else: another checkpoint, or another position.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::model::{Checkpoint, NodeId};

/// See the module.
pub struct OtherInput;

/// Layers up and down in which another input is looked for.
const LAYERS: usize = 1;

impl Hypothesis for OtherInput {
    fn id(&self) -> &'static str {
        "other-input"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let graph = case.graph();
        let mut trials = Vec::new();
        let name = |id: NodeId| graph.node(id).checkpoint.map(|c| c.to_string()).unwrap_or_default();
        let layer = |id: NodeId| graph.node(id).checkpoint.and_then(Checkpoint::layer_index);
        let cached = case.node.op.history_input();
        for (slot, &own) in case.node.inputs.iter().enumerate() {
            if cached != Some(slot) && !graph.node(own).op.grows() {
                for back in [1_u32, 2] {
                    let redirect = Arc::new(move |p: u32| Some(p.saturating_sub(back)));
                    let says = format!(
                        "its input is that of {back} position{} earlier",
                        if back == 1 { "" } else { "s" }
                    );
                    if slot == 0 {
                        trials.push(Trial::new(
                            0,
                            says,
                            Change { redirect: Some(redirect), ..case.with(|_| {}) },
                        ));
                    }
                }
            }
            for index in 0..graph.nodes.len() {
                let id = NodeId(index as u32);
                let other = graph.node(id);
                let near = match (layer(id), layer(case.target)) {
                    (Some(a), Some(b)) => a.abs_diff(b) <= LAYERS,
                    _ => true,
                };
                let fits = id != own
                    && id != case.target
                    && near
                    && other.width == graph.node(own).width
                    && other.op.grows() == graph.node(own).op.grows()
                    && case.positions.iter().all(|p| case.traced().full(id).contains(p));
                if fits {
                    trials.push(Trial::new(
                        0,
                        format!("it reads {} in place of {}", name(id), name(own)),
                        case.with(|node| node.inputs[slot] = id),
                    ));
                }
            }
        }
        // Nothing reads the logits, so that nothing tells a wrong state from a wrong index.
        if case.node.checkpoint == Some(Checkpoint::LOGITS) {
            for trial in trials.iter_mut().filter(|t| t.change.redirect.is_some()) {
                trial.mistake = Some("logits-of-another");
                trial.says = "these are the logits of an earlier position (a wrong index into the batch, or a stale state)".into();
            }
        }
        trials
    }
}
