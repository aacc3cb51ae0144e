//! RoPE's angles as ggml makes them: from pair to pair one f32 multiplication with an f32 factor,
//! whose error grows with pair and position.

use super::{Circumstance, Rule};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::model::graph::Pairing;
use crate::model::{Node, Op};

/// See the module.
pub struct GgmlRope;

impl Rule for GgmlRope {
    fn id(&self) -> &'static str {
        "ggml-rope"
    }
    fn title(&self) -> &'static str {
        "f32 angles, as ggml"
    }
    fn applies(&self, node: &Node, _: &Circumstance<'_>) -> bool {
        matches!(node.op, Op::Rope(_))
    }
    fn is_expected(&self, _: &Node, at: &Circumstance<'_>) -> bool {
        at.is_llama_cpu()
    }
    fn evaluate(&self, node: &Node, bound: &Bound, at: Moment, inputs: &[&[f64]], out: &mut [f64]) -> bool {
        let Op::Rope(rope) = &node.op else { return false };
        out.copy_from_slice(inputs[0]);
        let step = rope.freq_base.powf(-2.0 / rope.n_rot as f32);
        let mut theta = (at.position as f64 + f64::from(rope.position_shift)) as f32;
        for (i, frequency) in bound.frequencies().iter().enumerate() {
            // What divides this pair's frequency, if the model has factors.
            let plain = f64::from(rope.freq_base).powf(-2.0 * i as f64 / rope.n_rot as f64)
                * f64::from(rope.freq_scale);
            let factor = if rope.factors.is_some() { (plain / frequency) as f32 } else { 1.0 };
            let angle = f64::from(rope.freq_scale * (theta / factor));
            let attn = f64::from(rope.attn_factor);
            let (sin, cos) = (angle.sin() * attn, angle.cos() * attn);
            let (first, second) = match rope.pairing {
                Pairing::Norm => (2 * i, 2 * i + 1),
                Pairing::Neox => (i, i + rope.n_rot / 2),
            };
            for head in 0..rope.heads {
                let base = head * rope.head_dim;
                let (a, b) = (inputs[0][base + first], inputs[0][base + second]);
                out[base + first] = a * cos - b * sin;
                out[base + second] = a * sin + b * cos;
            }
            theta *= step;
        }
        true
    }
}
