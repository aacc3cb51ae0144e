//! Query heads use key heads in turn instead of in groups.

use super::Fault;
use crate::model::departure::Grouping;
use crate::model::{Graph, Node, Op};

/// See the module.
pub struct GqaTile;

impl Fault for GqaTile {
    fn id(&self) -> &'static str {
        "gqa-tile"
    }
    fn catalogue(&self) -> u8 {
        11
    }
    fn title(&self) -> &'static str {
        "query heads use key heads in turn instead of in groups"
    }
    fn explain(&self) -> &'static str {
        "With grouped queries, head h belongs to key head h / (heads per group); repeating the keys \
         the other way (tile for repeat) gives h mod n. Position 0 shows it in kqv_out, some heads \
         are right (llama.cpp#3364, TinyLlama#24)."
    }
    fn apply(&self, node: &mut Node, _: &Graph) -> bool {
        let (Op::Scores(a) | Op::Mix(a)) = &node.op else { return false };
        let possible = 1 < a.n_head_kv && a.n_head_kv < a.n_head;
        if possible {
            node.departure.grouping = Grouping::Tile;
        }
        possible
    }
}
