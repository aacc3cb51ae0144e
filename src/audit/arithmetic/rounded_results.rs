//! Every result is stored in 16 bits: engines that keep their activations as f16 or bf16.

use super::{Circumstance, Rule, is_product, to_bf16, to_f16};
use crate::model::{Node, Op};

/// See the module.
pub struct Rounded {
    id: &'static str,
    title: &'static str,
    round: fn(f64) -> f64,
    floor: f64,
}

/// Results in f16.
pub static F16: Rounded =
    Rounded { id: "f16-results", title: "f16 results", round: to_f16, floor: 1.0 / 8192.0 };
/// Results in bf16.
pub static BF16: Rounded =
    Rounded { id: "bf16-results", title: "bf16 results", round: to_bf16, floor: 1.0 / 1024.0 };

/// Share of a row's values that must be representable: all but a few that a logger may have touched.
const SHARE: f64 = 0.99;

impl Rule for Rounded {
    fn id(&self) -> &'static str {
        self.id
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn is_coarse(&self) -> bool {
        true
    }
    fn applies(&self, node: &Node, at: &Circumstance<'_>) -> bool {
        let free = matches!(node.op, Op::Embed | Op::PosEmbed | Op::Slice { .. });
        !free && !at.is_llama_cpu()
    }
    fn operand(&self, node: &Node, _: usize, row: &mut [f64]) {
        if is_product(node) {
            for x in row {
                *x = (self.round)(*x);
            }
        }
    }
    fn result(&self, _: &Node, out: &mut [f64]) {
        for x in out {
            *x = (self.round)(*x);
        }
    }
    /// A quarter of the format's unit: where the last step rounds a value the other way (in a few per
    /// cent of a row) it moves by a whole one.
    fn floor(&self, _: usize) -> Option<f64> {
        Some(self.floor)
    }
    fn admits(&self, recorded: &[f32]) -> bool {
        let short =
            recorded.iter().filter(|x| !x.is_finite() || (self.round)(f64::from(**x)) == f64::from(**x));
        short.count() as f64 >= recorded.len() as f64 * SHARE
    }
}
