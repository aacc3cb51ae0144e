//! Another activation function, or gate and up in each other's place.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::engine::cpu::ops::{gelu, gelu_erf, silu};
use crate::figures::figure;
use crate::model::Op;

/// See the module.
pub struct Activation;

type Function = fn(f64) -> f64;

const FUNCTIONS: [(&str, Function); 11] = [
    ("SiLU", silu),
    ("GELU (tanh)", gelu),
    ("GELU (erf)", gelu_erf),
    ("quick GELU", |x| x / (1.0 + (-1.702 * x).exp())),
    ("ReLU", |x| x.max(0.0)),
    ("the square of ReLU", |x| x.max(0.0).powi(2)),
    ("a sigmoid", |x| 1.0 / (1.0 + (-x).exp())),
    ("no activation", |x| x),
    ("tanh", f64::tanh),
    ("hard swish", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    ("softplus", |x| x.exp().ln_1p()),
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
        if gated {
            trials.extend(of_the_product(case));
            trials.extend(steeper(case, right));
            trials.extend(clipped(case, right));
        }
        trials
    }
}

fn named(name: &str) -> Function {
    FUNCTIONS.iter().find(|(n, _)| *n == name).map_or(silu, |(_, f)| *f)
}

/// Gate and up as an operation of one or of two inputs has them.
fn halves<'i>(inputs: &[&'i [f64]]) -> (&'i [f64], &'i [f64]) {
    match inputs {
        [joined] => joined.split_at(joined.len() / 2),
        _ => (inputs[0], inputs[1]),
    }
}

fn by_pairs(case: &Case<'_, '_>, made: impl Fn(f64, f64) -> f64 + Send + Sync + 'static) -> Change {
    case.executed(Arc::new(move |_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
        let (gate, up) = halves(inputs);
        out.clear();
        out.extend(gate.iter().zip(up).map(|(g, u)| made(*g, *u)));
    }))
}

/// The function of the product, and values of both kinds side by side where the model has halves.
fn of_the_product(case: &Case<'_, '_>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, function) in [("SiLU", FUNCTIONS[0].1), ("GELU (tanh)", FUNCTIONS[1].1)] {
        let says = format!("the activation ({name}) is applied to the product of gate and up");
        trials.push(Trial::new(22, says, by_pairs(case, move |g, u| function(g * u))));
    }
    if case.node.inputs.len() == 1 {
        for first in [0, 1] {
            let execute = move |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                out.clear();
                out.extend(inputs[0].chunks_exact(2).map(|pair| silu(pair[first]) * pair[1 - first]));
            };
            let says = "gate and up are taken as neighbours where the model joins two halves".to_owned();
            trials.push(Trial::new(22, says, case.executed(Arc::new(execute))));
        }
    }
    trials
}

/// Gate, up and what was recorded, of every value looked at.
fn recorded(case: &Case<'_, '_>) -> Vec<(f64, f64, f64)> {
    let mut all = Vec::new();
    for (p, recorded, _) in case.rows() {
        let inputs: Option<Vec<Vec<f64>>> = (0..case.node.inputs.len()).map(|i| case.input(i, p)).collect();
        let Some(inputs) = inputs else { continue };
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let (gate, up) = halves(&inputs);
        all.extend(gate.iter().zip(up).zip(recorded).map(|((g, u), &y)| (*g, *u, f64::from(y))));
    }
    all
}

/// x · σ(βx) with a β of its own, which every value tells.
fn steeper(case: &Case<'_, '_>, right: &str) -> Option<Trial> {
    if right != "SiLU" || !case.is_direct() {
        return None;
    }
    let mut betas: Vec<f64> = recorded(case)
        .into_iter()
        .filter(|(g, u, _)| g.abs() > 0.2 && g.abs() < 4.0 && *u != 0.0)
        .map(|(g, u, y)| {
            let share = y / (u * g);
            (share / (1.0 - share)).ln() / g
        })
        .filter(|b| b.is_finite())
        .collect();
    betas.sort_by(f64::total_cmp);
    let beta = *betas.get(betas.len() / 2)?;
    let round = (beta * 1e3).round() / 1e3;
    let beta = if (beta - round).abs() < 1e-5 { round } else { beta };
    if (beta - 1.0).abs() < 1e-4 {
        return None;
    }
    let says = format!("the activation is x·σ({}·x) where the model says SiLU", figure(beta));
    Some(Trial::new(22, says, by_pairs(case, move |g, u| g / (1.0 + (-beta * g).exp()) * u)))
}

/// The gate cut at a limit, which the values beyond it share.
fn clipped(case: &Case<'_, '_>, right: &str) -> Vec<Trial> {
    if !case.is_direct() {
        return Vec::new();
    }
    let function = named(right);
    let mut values = recorded(case);
    values.retain(|(_, u, _)| u.abs() > 1e-3);
    values.sort_by(|a, b| b.0.total_cmp(&a.0));
    let [first, second, ..] = values[..] else { return Vec::new() };
    let shared = first.2 / first.1;
    if !((second.2 / second.1 - shared).abs() < 1e-4 * shared.abs()) {
        return Vec::new();
    }
    // The function grows from 0 on.
    let (mut low, mut high) = (0.0, first.0.max(0.0));
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if function(middle) < shared { low = middle } else { high = middle }
    }
    let few = (high * 1e3).round() / 1e3;
    let limit = if (high - few).abs() < 1e-4 { few } else { high };
    let says = |how: &str| format!("the gate is cut at {how}{} before the activation", figure(limit));
    vec![
        Trial::new(22, says(""), by_pairs(case, move |g, u| function(g.min(limit)) * u)),
        Trial::new(22, says("±"), by_pairs(case, move |g, u| function(g.clamp(-limit, limit)) * u)),
    ]
}
