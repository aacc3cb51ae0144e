//! The embedding is looked up one row too far.

use super::Fault;
use crate::model::view::RowOrder;
use crate::model::{Graph, Node, Op, View};

/// See the module.
pub struct EmbeddingRow;

impl Fault for EmbeddingRow {
    fn id(&self) -> &'static str {
        "embedding-row"
    }
    fn catalogue(&self) -> u8 {
        23
    }
    fn title(&self) -> &'static str {
        "the embedding is looked up one row too far"
    }
    fn explain(&self) -> &'static str {
        "Token ids counted from 1, or a special token that shifts all others: embd is another token's \
         at every position."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::Embed);
        if made {
            node.departure.views.push(View::Rows(RowOrder::Shifted(1)));
        }
        made
    }
}
