//! Another activation function, or gate and up in each other's place.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::engine::cpu::ops::{gelu, gelu_erf, silu};
use crate::model::Op;

/// See the module.
pub struct Activation;

type Function = fn(f64) -> f64;

const FUNCTIONS: [(&str, Function); 8] = [
    ("SiLU", silu),
    ("GELU (tanh)", gelu),
    ("GELU (erf)", gelu_erf),
    ("quick GELU", |x| x / (1.0 + (-1.702 * x).exp())),
    ("ReLU", |x| x.max(0.0)),
    ("the square of ReLU", |x| x.max(0.0).powi(2)),
    ("a sigmoid", |x| 1.0 / (1.0 + (-x).exp())),
    ("no activation", |x| x),
];

impl Hypothesis for Activation {
    fn id(&self) -> &'static str {
        "ffn-activation"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let right = match case.node.op {
            Op::SwiGlu => "SiLU",
            Op::Gelu => "GELU (tanh)",
            _ => return Vec::new(),
        };
        let mut trials = Vec::new();
        let gated = matches!(case.node.op, Op::SwiGlu) || case.node.inputs.len() > 1;
        let order: &[bool] = if gated { &[false, true] } else { &[false] };
        for &swapped in order {
            for (name, function) in FUNCTIONS {
                if !swapped && name == right {
                    continue;
                }
                let execute = move |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                    let (gate, up) = match inputs {
                        [joined] if gated => joined.split_at(joined.len() / 2),
                        [one] => (*one, &[][..]),
                        _ => (inputs[0], inputs[1]),
                    };
                    let (gate, up) = if swapped { (up, gate) } else { (gate, up) };
                    out.clear();
                    out.extend(
                        gate.iter()
                            .enumerate()
                            .map(|(i, x)| function(*x) * up.get(i).copied().unwrap_or(1.0)),
                    );
                };
                let says = match (swapped, name == right) {
                    (true, true) => "gate and up are swapped".to_owned(),
                    (true, false) => format!("gate and up are swapped, and the activation is {name}"),
                    _ => format!("the activation is {name} where the model says {right}"),
                };
                trials.push(Trial::new(22, says, case.executed(Arc::new(execute))));
            }
        }
        if gated {
            for (name, function) in FUNCTIONS {
                let execute = move |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                    let gate = if inputs.len() == 1 { &inputs[0][..inputs[0].len() / 2] } else { inputs[0] };
                    out.clear();
                    out.extend(gate.iter().map(|x| function(*x)));
                };
                let says = format!("the activated gate ({name}) is not multiplied by up");
                trials.push(Trial::new(22, says, case.executed(Arc::new(execute))));
            }
        }
        trials
    }
}
