//! The bias of query, key and value is not added.

use super::Fault;
use crate::model::{Graph, Node, Op, Site};

/// See the module.
pub struct QkvBias;

impl Fault for QkvBias {
    fn id(&self) -> &'static str {
        "qkv-bias"
    }
    fn catalogue(&self) -> u8 {
        4
    }
    fn title(&self) -> &'static str {
        "the bias of query, key and value is not added"
    }
    fn explain(&self) -> &'static str {
        "Qwen2 and GPT-2 have biases there, most models have none, and loaders that do not look for \
         them never miss them. The difference is the same vector at every position (ANEForge#253, \
         candle-vllm#167)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let after = [Site::Qcur, Site::Kcur, Site::Vcur, Site::WqkvB];
        let made =
            matches!(node.op, Op::AddBias) && node.checkpoint.is_some_and(|c| after.contains(&c.site()));
        if made {
            node.op = Op::Scale { factor: 1.0 };
            (node.weight, node.weight_type) = (None, None);
        }
        made
    }
}
