//! The embedding is read as its transpose.

use super::Fault;
use crate::model::{Graph, Node, Op, View};

/// See the module.
pub struct EmbeddingTransposed;

impl Fault for EmbeddingTransposed {
    fn id(&self) -> &'static str {
        "embedding-transposed"
    }
    fn catalogue(&self) -> u8 {
        23
    }
    fn title(&self) -> &'static str {
        "the embedding is read as its transpose"
    }
    fn explain(&self) -> &'static str {
        "Stored as [vocabulary, width] and read as [width, vocabulary]: embd holds one channel of \
         many tokens, at every position."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let made = matches!(node.op, Op::Embed);
        if made {
            node.departure.views.push(View::Transposed);
        }
        made
    }
}
