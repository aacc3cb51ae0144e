//! GELU looked up in a table of f16 values, as llama.cpp does on the CPU: input and output are f16.

use super::{Circumstance, Rule, to_f16};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::engine::cpu::ops::gelu;
use crate::model::{Node, Op};

/// See the module.
pub struct GeluTable;

/// `ggml_vec_gelu_f32` and `ggml_vec_geglu_f32`: beyond ±10 the table is not asked.
fn looked_up(x: f64) -> f64 {
    if x <= -10.0 {
        0.0
    } else if x >= 10.0 {
        x
    } else {
        to_f16(gelu(to_f16(x)))
    }
}

impl Rule for GeluTable {
    fn id(&self) -> &'static str {
        "gelu-table"
    }
    fn title(&self) -> &'static str {
        "GELU by f16 table, as llama.cpp on the CPU"
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, _: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::Gelu)
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu()
    }
    fn evaluate(&self, _: &Node, _: &Bound, _: Moment, inputs: &[&[f64]], out: &mut [f64]) -> bool {
        for (i, out) in out.iter_mut().enumerate() {
            *out = looked_up(inputs[0][i]) * inputs.get(1).map_or(1.0, |up| up[i]);
        }
        true
    }
    /// An entry whose exact value lies in the middle between two f16 numbers may be either.
    fn ambiguity(&self, _: &Node, inputs: &[&[f64]]) -> Vec<f64> {
        let gate = inputs[0].iter().enumerate();
        gate.map(|(i, &x)| {
            let exact = gelu(to_f16(x));
            let error = NEAR * exact.abs() + CANCELLED * x.abs();
            let step = (to_f16(exact + error) - to_f16(exact - error)).abs();
            // With room for the product's own rounding.
            step * 1.0001 * inputs.get(1).map_or(1.0, |up| up[i].abs())
        })
        .collect()
    }
}

/// What the f32 formula with which ggml fills the table may be off by: a few roundings …
const NEAR: f64 = 4e-7;
/// … and that of 1 + tanh, which cancels for negative arguments: half a unit of 1, twice.
const CANCELLED: f64 = 1.2e-7;
