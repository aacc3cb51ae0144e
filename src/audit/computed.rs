//! One row as it should be, and what its roundings are a share of.

use crate::engine::cpu::kernel::{Bound, Moment};
use crate::model::graph::Pairing;
use crate::model::{Node, Op};

/// One row as it should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Computed {
    /// The values.
    pub values: Vec<f64>,
    /// For each: Σ|terms| that it is the sum of, which its rounding is a share of.
    pub scale: Vec<f64>,
    /// What each may be off by for a rounding that is ambiguous; empty: nothing.
    pub ambiguity: Vec<f64>,
}

/// What partial sums that grow as the sum itself does add to its scale: a plain loop over n terms that are all alike
/// rounds by up to ε of i/n of the sum at the i-th, together by √n/3 of ε of the sum as a rule and by three times that
/// at worst. Bounds are some six ε of a scale.
pub fn coherent(sum: f64, terms: usize) -> f64 {
    sum.abs() * (terms as f64).sqrt() / 6.0
}

/// Σ|terms| of each value of an output: what its roundings are a share of.
pub fn scales(node: &Node, bound: &Bound, at: Moment, inputs: &[&[f64]], values: &[f64]) -> Vec<f64> {
    let magnitude = || values.iter().map(|x| x.abs()).collect::<Vec<f64>>();
    let absolute = |row: &[f64]| row.iter().map(|x| x.abs()).collect::<Vec<f64>>();
    let terms = match &node.op {
        Op::Add => inputs[0].iter().zip(inputs[1]).map(|(a, b)| a.abs() + b.abs()).collect(),
        Op::AddBias => {
            let bias = bound.vector().unwrap_or_default();
            inputs[0].iter().zip(bias).map(|(x, b)| x.abs() + f64::from(b.abs())).collect()
        }
        Op::LayerNorm { eps } => {
            let x = inputs[0];
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let inverse = 1.0 / (variance + f64::from(*eps)).sqrt();
            // The mean rounds as a sum of all values does, whatever is left of it.
            let mean = x.iter().map(|v| v.abs()).sum::<f64>() / n;
            x.iter()
                .enumerate()
                .map(|(i, v)| {
                    let w = bound.vector().map_or(1.0, |w| f64::from(w[i].abs()));
                    let b = bound.bias().map_or(0.0, |b| f64::from(b[i].abs()));
                    (v.abs() + mean) * inverse * w + b
                })
                .collect()
        }
        Op::Rope(rope) => {
            let mut out = absolute(inputs[0]);
            for (i, frequency) in bound.frequencies().iter().enumerate() {
                // A relative error of the frequency becomes one of the angle, which grows with the position.
                let angle = (at.position as f64 * frequency).abs() * (4.0 + i as f64) / 4.0;
                let (first, second) = match rope.pairing {
                    Pairing::Norm => (2 * i, 2 * i + 1),
                    Pairing::Neox => (i, i + rope.n_rot / 2),
                };
                for head in 0..rope.heads {
                    let base = head * rope.head_dim;
                    let length = inputs[0][base + first].hypot(inputs[0][base + second]);
                    let scale = length * f64::from(rope.attn_factor.abs()) * (1.0 + angle);
                    (out[base + first], out[base + second]) = (scale, scale);
                }
            }
            out
        }
        Op::Scores(_) | Op::Mix(_) => {
            let (a, b) = (absolute(inputs[0]), absolute(inputs[1]));
            let mut out = Vec::new();
            bound.run(node, at, &[&a, &b], &mut out);
            if let Op::Scores(a) = &node.op {
                out.iter_mut().zip(values).for_each(|(x, sum)| *x += coherent(*sum, a.head_dim));
            } else {
                // Probabilities have one sign: partial sums are as large as the result from early on, and
                // each rounds by ε of it. Of 20 positions a plain loop made 8 ε.
                let longer = ((at.position + 1) as f64).sqrt() / 2.0;
                for x in &mut out {
                    *x *= longer.max(1.0);
                }
            }
            out
        }
        // Far on the negative side 1 + tanh cancels, and what is left is rounding of the argument's own size.
        Op::Gelu => {
            let (gate, up) = (inputs[0], inputs.get(1));
            gate.iter().enumerate().map(|(i, x)| x.abs() * up.map_or(1.0, |up| up[i].abs())).collect()
        }
        Op::SoftMax(a) => {
            let visible = at.position + 1;
            let heads = inputs[0].chunks(visible).zip(values.chunks(visible));
            heads
                .flat_map(|(scores, values)| {
                    let largest = scores.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
                    let reach = 1.0 + largest * f64::from(a.scale.abs()) / 4.0;
                    values.iter().map(move |p| p.abs() * reach).collect::<Vec<f64>>()
                })
                .collect()
        }
        _ => magnitude(),
    };
    // A changed node may have fewer terms than values.
    values.iter().enumerate().map(|(i, v)| terms.get(i).map_or(v.abs(), |t| t.max(v.abs()))).collect()
}
