//! Arithmetic: how an engine rounds on its way through an operation. One rule a file, one line in
//! [`RULES`] that registers it.
//!
//! A rule rounds the operands of an operation, or its result; what lies between is evaluated in f64. So
//! a node is *explained* by a rule when the recorded output is what the rule predicts, up to the
//! order of f32 sums.

mod bf16_operands;
mod blocks;
pub mod cache_blocks;
mod cuda_cache;
mod exact;
mod f16_accumulator;
mod f16_cache;
mod f16_chain;
mod f16_fused;
mod f16_fused_cuda;
mod f16_groups;
mod f16_operands;
mod f16_sums;
mod gelu_fast;
mod gelu_table;
mod ggml_rope;
mod half;
mod heads;
pub mod minima;
mod q8_0;
mod q8_1;
mod q8_1_cuda;
mod q8_1_sums;
mod q8_k;
mod rounded_results;
mod stored_cache;
mod tf32;

use crate::engine::cpu::kernel::{Bound, Moment};
use crate::gguf::WeightType;
use crate::model::graph::Attention;
use crate::model::{Node, Op};
use crate::trace::Header;

pub use exact::EXACT;

/// What decides which arithmetic an engine uses.
#[derive(Clone, Copy, Debug)]
pub struct Circumstance<'a> {
    /// Weight type of the matrix, for products and lookups.
    pub weights: Option<WeightType>,
    /// Tokens in the batch, if the trace says.
    pub columns: Option<u32>,
    /// The run's header.
    pub header: Option<&'a Header>,
    /// Whether scores and probabilities were not recorded: attention is judged as a whole.
    pub fused: bool,
}

impl Circumstance<'_> {
    /// Whether the header says that llama.cpp computed, on the CPU.
    pub fn is_llama_cpu(&self) -> bool {
        self.header.is_some_and(|h| {
            h.settings.arithmetic.as_deref() == Some("llama.cpp") && h.backend.eq_ignore_ascii_case("cpu")
        })
    }

    /// Whether the header says that llama.cpp computed, on CUDA.
    pub fn is_llama_cuda(&self) -> bool {
        self.header.is_some_and(|h| h.settings.arithmetic.as_deref() == Some("llama.cpp") && h.is_cuda())
    }

    /// Type of the cache, as the header has it.
    pub fn cache(&self) -> Option<&str> {
        self.header.and_then(|h| h.settings.kv.as_deref())
    }
}

/// What a tie is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The rounded operand.
    Values,
    /// What [`Rule::sums`] makes of it.
    Sums,
}

/// A value, a block's scale or its sum that lies so near to the middle between two steps that another
/// order of operations rounds it the other way.
#[derive(Clone, Debug, PartialEq)]
pub struct Tie {
    /// Where it is.
    pub part: Part,
    /// First element that it moves.
    pub first: usize,
    /// What is added to that element and those after it when it falls the other way.
    pub steps: Vec<f64>,
}

/// One arithmetic.
pub trait Rule: Sync {
    /// Stable id.
    fn id(&self) -> &'static str;
    /// A few words: what is rounded to what.
    fn title(&self) -> &'static str;
    /// Whether any engine computes this operation so.
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool;
    /// Whether this is what the header leads one to expect.
    fn is_expected(&self, _node: &Node, _at: &Circumstance<'_>) -> bool {
        false
    }
    /// Rounds one position's row of input `index`.
    fn operand(&self, _node: &Node, _index: usize, _row: &mut [f64]) {}
    /// Rounds one row of the matrix.
    fn weights(&self, _row: &mut [f32]) {}
    /// For engines that multiply minima with sums of activations: what takes the activation's place
    /// beside the minimum of its weight. `row` is the unrounded operand.
    fn sums(&self, _row: &[f64]) -> Option<Vec<f64>> {
        None
    }
    /// Splits a row of the matrix (`bytes` in the file) into what meets the activations and
    /// what meets [`Rule::sums`].
    fn split(&self, kind: WeightType, bytes: &[u8], row: &mut [f32], minima: &mut [f32]) {
        if minima::minima(kind, bytes, minima) {
            row.iter_mut().zip(minima).for_each(|(w, m)| *w -= *m);
        }
    }
    /// Adds up the products of a row of the matrix and a column, where that is done in f16; `None`: as f64.
    fn sum(&self, _weights: &[f32], _column: &[f64]) -> Option<f64> {
        None
    }
    /// Rounds the result.
    fn result(&self, _node: &Node, _out: &mut [f64]) {}
    /// Evaluates the operation in its own way; false: as any other.
    fn evaluate(
        &self,
        _node: &Node,
        _bound: &Bound,
        _at: Moment,
        _inputs: &[&[f64]],
        _out: &mut [f64],
    ) -> bool {
        false
    }
    /// Evaluates attention from query, keys and values of every visible position; false: step by step.
    fn fused(
        &self,
        _a: &Attention,
        _at: &Circumstance<'_>,
        _query: &[f64],
        _keys: &[f64],
        _values: &[f64],
        _out: &mut [f64],
    ) -> bool {
        false
    }
    /// By how much each result may be off because its last rounding is ambiguous, or a function that it rests on
    /// approximate; empty: by nothing.
    fn ambiguity(&self, _node: &Node, _inputs: &[&[f64]]) -> Vec<f64> {
        Vec::new()
    }
    /// Elements of the operand that another engine may round the other way.
    fn ties(&self, _row: &[f64]) -> Vec<Tie> {
        Vec::new()
    }
    /// Whether operands are rounded so coarsely that a value that falls the other way shows.
    fn is_coarse(&self) -> bool {
        false
    }
    /// Relative deviation (L2) that is left when this rule is right, for sums of so many products, instead
    /// of the operation's own.
    fn floor(&self, _terms: usize) -> Option<f64> {
        None
    }
    /// Whether recorded values could have come from it at all.
    fn admits(&self, _recorded: &[f32]) -> bool {
        true
    }
}

/// Every rule; the first of two that fit equally well is reported.
pub static RULES: &[&dyn Rule] = &[
    &exact::Exact,
    &q8_k::Q8K,
    &q8_0::Q8_0,
    &q8_1::Q8_1,
    &f16_operands::F16Operands,
    &bf16_operands::Bf16Operands,
    &q8_1_cuda::HALF_SCALE,
    &q8_1_cuda::FULL_SCALE,
    &q8_1_sums::Q8_1Sums,
    &tf32::TRUNCATED,
    &tf32::NEAREST,
    &f16_cache::F16,
    &f16_cache::BF16,
    &stored_cache::BF16,
    &stored_cache::Q8_0,
    &stored_cache::Q5_1,
    &stored_cache::Q5_0,
    &stored_cache::Q4_1,
    &stored_cache::Q4_0,
    &stored_cache::IQ4_NL,
    &stored_cache::Q8_0_TURNED,
    &stored_cache::Q5_1_TURNED,
    &stored_cache::Q5_0_TURNED,
    &stored_cache::Q4_1_TURNED,
    &stored_cache::Q4_0_TURNED,
    &stored_cache::IQ4_NL_TURNED,
    &cuda_cache::VECTOR,
    &cuda_cache::VECTOR_TURNED,
    &cuda_cache::TENSOR,
    &cuda_cache::TENSOR_TURNED,
    &gelu_table::GeluTable,
    &gelu_fast::GeluFast,
    &ggml_rope::GgmlRope,
    &f16_fused::F16Fused,
    &f16_fused_cuda::F16FusedCuda,
    &rounded_results::F16,
    &rounded_results::BF16,
    &f16_chain::F16_CHAIN,
    &f16_groups::F16_GROUPS,
    &f16_accumulator::F16Accumulator,
];

/// The rules that apply, those that the header leads one to expect first.
pub fn candidates(node: &Node, at: &Circumstance<'_>) -> Vec<&'static dyn Rule> {
    let mut found: Vec<&'static dyn Rule> = RULES.iter().copied().filter(|r| r.applies(node, at)).collect();
    found.sort_by_key(|rule| !rule.is_expected(node, at));
    found
}

/// The operand that holds activations of a product, or both operands of attention.
fn is_product(node: &Node) -> bool {
    matches!(node.op, Op::MatMul | Op::Scores(_) | Op::Mix(_))
}

/// Whether an engine other than llama.cpp on the CPU may add up this operation's products in f16.
fn is_f16_sum(node: &Node, at: &Circumstance<'_>) -> bool {
    let operation = match node.op {
        Op::MatMul => at.weights == Some(WeightType::F16),
        Op::Mix(_) => !at.fused,
        _ => false,
    };
    operation && !at.is_llama_cpu()
}

/// Whether every value is one of f16.
fn are_f16(recorded: &[f32]) -> bool {
    recorded.iter().all(|x| !x.is_finite() || to_f16(f64::from(*x)) == f64::from(*x))
}

/// Whether ggml multiplies weights of this type with blocks of 256 (Q8_K).
fn is_k_quant(weights: Option<WeightType>) -> bool {
    use WeightType::{Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs, Iq4Xs, Q2K, Q3K, Q4K, Q5K, Q6K};
    matches!(
        weights,
        Some(Q2K | Q3K | Q4K | Q5K | Q6K | Iq1M | Iq1S | Iq2S | Iq2Xs | Iq2Xxs | Iq3S | Iq3Xxs | Iq4Xs)
    )
}

/// Whether weights are stored in blocks of any kind.
fn is_quantised(weights: Option<WeightType>) -> bool {
    weights.is_some_and(|w| w.format().block_len > 1)
}

/// Nearest f16, half to even; beyond its range infinite.
fn to_f16(x: f64) -> f64 {
    // The engine's own values are f32, and f32 to f16 is one rounding.
    ::half::f16::from_f32(x as f32).to_f64()
}

/// Nearest bf16, half to even.
fn to_bf16(x: f64) -> f64 {
    ::half::bf16::from_f32(x as f32).to_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_titles_fit_a_table() {
        for (i, a) in RULES.iter().enumerate() {
            assert!(a.title().len() <= 60, "{}", a.title());
            assert!(RULES[..i].iter().all(|b| b.id() != a.id()), "{}", a.id());
        }
    }
}
