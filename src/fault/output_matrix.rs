//! Logits come from the embedding although the model has an output matrix.

use super::Fault;
use crate::model::{Graph, Node};

/// See the module.
pub struct OutputMatrix;

impl Fault for OutputMatrix {
    fn id(&self) -> &'static str {
        "output-matrix"
    }
    fn catalogue(&self) -> u8 {
        14
    }
    fn title(&self) -> &'static str {
        "logits come from the embedding although the model has an output matrix"
    }
    fn explain(&self) -> &'static str {
        "Tied where it should not be (or the reverse): result_norm is right, logits are those of \
         another matrix (candle#2930, llama.cpp#12456)."
    }
    fn apply(&self, node: &mut Node, right: &Graph) -> bool {
        const TIED: &str = "token_embd.weight";
        let last = node.weight.as_deref() == Some("output.weight");
        if last {
            let embedding = right.nodes.iter().find(|n| n.weight.as_deref() == Some(TIED));
            node.weight_type = embedding.and_then(|n| n.weight_type);
            node.weight = Some(TIED.to_owned());
        }
        last
    }
}
