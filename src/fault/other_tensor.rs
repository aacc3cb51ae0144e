//! The gate's projection uses the up projection's weights.

use super::Fault;
use crate::model::Checkpoint;
use crate::model::{Graph, Node, Site};

/// See the module.
pub struct OtherTensor;

impl Fault for OtherTensor {
    fn id(&self) -> &'static str {
        "other-tensor"
    }
    fn catalogue(&self) -> u8 {
        12
    }
    fn title(&self) -> &'static str {
        "the gate's projection uses the up projection's weights"
    }
    fn explain(&self) -> &'static str {
        "Two tensors of one shape, exchanged while loading: the gate equals the up projection."
    }
    fn apply(&self, node: &mut Node, right: &Graph) -> bool {
        let is_gate = node.checkpoint.is_some_and(|c| c.site() == Site::FfnGate);
        let Some(layer) = node.checkpoint.and_then(Checkpoint::layer_index).filter(|_| is_gate) else {
            return false;
        };
        let Some(up) = right.find(Checkpoint::layer(Site::FfnUp, layer)) else { return false };
        let up = right.node(up);
        (node.weight, node.weight_type) = (up.weight.clone(), up.weight_type);
        true
    }
}
