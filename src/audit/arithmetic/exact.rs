//! Nothing is rounded but sums and results, to f32.

use super::{Circumstance, Rule};
use crate::gguf::WeightType;
use crate::model::{Node, Op};

/// See the module.
pub struct Exact;

/// The rule that is tried where none other applies.
pub static EXACT: Exact = Exact;

impl Rule for Exact {
    fn id(&self) -> &'static str {
        "exact"
    }
    fn title(&self) -> &'static str {
        "f32 or better"
    }
    fn applies(&self, _: &Node, _: &Circumstance<'_>) -> bool {
        true
    }
    fn is_expected(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let llama = at.is_llama_cpu() || at.is_llama_cuda();
        match node.op {
            Op::MatMul => !llama || at.weights == Some(WeightType::F32),
            Op::Scores(_) | Op::Mix(_) => matches!(at.cache(), Some("f32" | "f64")),
            Op::Gelu | Op::Rope(_) => !at.is_llama_cpu(),
            _ => true,
        }
    }
}
