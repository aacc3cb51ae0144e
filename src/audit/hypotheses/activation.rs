//! Another activation function, or gate and up in each other's place.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::engine::cpu::ops::{gelu, silu};
use crate::model::Op;

/// See the module.
pub struct Activation;

/// The error function to f64's precision: its series near 0, a continued fraction further out.
fn erf(x: f64) -> f64 {
    let z = x.abs();
    let value = if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -z * z / f64::from(n);
            let part = term / f64::from(2 * n + 1);
            sum += part;
            if part.abs() < 1e-17 * sum.abs() {
                break;
            }
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else if z < 7.0 {
        let fraction = (1..80).rev().fold(z, |f, n| z + f64::from(n) / 2.0 / f);
        1.0 - (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt())
    } else {
        1.0
    };
    value.copysign(x)
}

type Function = fn(f64) -> f64;

const FUNCTIONS: [(&str, Function); 8] = [
    ("SiLU", silu),
    ("GELU (tanh)", gelu),
    ("GELU (erf)", |x| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))),
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
                trials.push(Trial { says, change: case.executed(Arc::new(execute)) });
            }
            if gated && !swapped {
                let execute = move |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                    let gate = if inputs.len() == 1 { &inputs[0][..inputs[0].len() / 2] } else { inputs[0] };
                    out.clear();
                    out.extend(gate.iter().map(|x| silu(*x)));
                };
                trials.push(Trial {
                    says: "the activated gate is not multiplied by up".into(),
                    change: case.executed(Arc::new(execute)),
                });
            }
        }
        trials
    }
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn erf_at_known_points() {
        // Abramowitz and Stegun, table 7.1, and the tail by its asymptotic series.
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (-1.0, -0.842_700_792_9),
        ] {
            assert!((erf(x) - y).abs() < 1e-10, "{x}");
        }
        assert!((1.0 - erf(3.0) - 2.209_049_7e-5).abs() < 1e-11);
        assert!((erf(2.999_999) - erf(3.000_001)).abs() < 1e-8);
    }
}
