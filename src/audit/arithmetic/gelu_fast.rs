//! GELU with the hyperbolic tangent of the GPU's special function unit (`tanh.approx.f32`), which
//! `-use_fast_math` puts in place of `tanhf`: llama.cpp on CUDA.

use super::{Circumstance, Rule};
use crate::model::{Node, Op};

/// See the module.
pub struct GeluFast;

/// What that tangent may be off by. NVIDIA promises 2⁻¹¹ of it; over 61,440 values of GELU recorded on an
/// H200 it is 2⁻¹⁶·⁹ at most, to either side, and this allows for nearly twice as much.
const TANGENT: f64 = 1.0 / 65536.0;

impl Rule for GeluFast {
    fn id(&self) -> &'static str {
        "gelu-fast"
    }
    fn title(&self) -> &'static str {
        "GELU by the GPU's approximate tanh, as llama.cpp on CUDA"
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::Gelu) && !at.is_llama_cpu()
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cuda()
    }
    /// ½x(1 + tanh …): half of x times the tangent's error.
    fn ambiguity(&self, _: &Node, inputs: &[&[f64]]) -> Vec<f64> {
        let gate = inputs[0].iter().enumerate();
        gate.map(|(i, x)| 0.5 * x.abs() * TANGENT * inputs.get(1).map_or(1.0, |up| up[i].abs())).collect()
    }
}
