//! Nodes that depart from the right computation, as [`Departure`] says. Slow and plain: none of this
//! runs in a right model.

use super::kernel::{Bound, Moment};
use super::ops;
use super::real::Real;
use crate::model::departure::{Activation, Departure, Grouping, Precision};
use crate::model::graph::Attention;
use crate::model::{Node, Op};

impl Bound {
    /// Computes the node's output from its inputs, departures included.
    pub fn run<T: Real>(&self, node: &Node, at: Moment, inputs: &[&[T]], out: &mut Vec<T>) {
        if node.departure.is_none() {
            self.execute(&node.op, node.width, at, inputs, out);
        } else {
            run(self, node, at, inputs, out);
        }
    }
}

/// Computes a departing node's output; before the first position at which the node departs,
/// as if it had none.
fn run<T: Real>(bound: &Bound, node: &Node, at: Moment, inputs: &[&[T]], out: &mut Vec<T>) {
    if at.position < node.departure.from {
        return bound.execute(&node.op.unshifted(), node.width, at, inputs, out);
    }
    let bound = bound.departed();
    compute(bound, node, at, inputs, out);
    if node.departure.repeated && inputs.len() == 1 && inputs[0].len() == out.len() {
        let once = std::mem::take(out);
        compute(bound, node, at, &[&once], out);
    }
}

fn compute<T: Real>(bound: &Bound, node: &Node, at: Moment, inputs: &[&[T]], out: &mut Vec<T>) {
    let d = &node.departure;
    let visible = at.position + 1;
    out.resize(if node.op.grows() { node.width * visible } else { node.width }, T::default());
    match (&node.op, d.activation) {
        (Op::SwiGlu | Op::Gelu, Some(activation)) => activate(&node.op, activation, inputs, out),
        (Op::Scores(a), _) => {
            for (head, out) in out.chunks_mut(visible).enumerate() {
                scores(inputs, a, d, head, out);
            }
        }
        (Op::SoftMax(a), _) => {
            for (head, out) in out.chunks_mut(visible).enumerate() {
                let seen = visible.saturating_sub(d.hidden).max(1);
                ops::softmax_of_head(&inputs[0][head * visible..][..seen], a, &mut out[..seen]);
                out[seen..].fill(T::default());
            }
        }
        (Op::Mix(a), _) => {
            for (head, out) in out.chunks_mut(a.head_dim_v).enumerate() {
                mix(&inputs[0][head * visible..][..visible], inputs[1], a, d, head, out);
            }
        }
        (Op::MatMul, _) if d.precision != Precision::Full => product(bound, d.precision, inputs[0], out),
        _ => bound.execute(&node.op, node.width, at, inputs, out),
    }
    if d.precision != Precision::Full {
        for v in out {
            *v = T::from_f64(rounded(v.to_f64(), d.precision));
        }
    }
}

fn activate<T: Real>(op: &Op, activation: Activation, inputs: &[&[T]], out: &mut [T]) {
    let function = match activation {
        Activation::Silu => ops::silu,
        Activation::Gelu => ops::gelu,
        Activation::GeluErf => ops::gelu_erf,
        Activation::Relu => |x: f64| if x < 0.0 { 0.0 } else { x },
    };
    if inputs.len() == 1 && matches!(op, Op::Gelu) {
        for (out, x) in out.iter_mut().zip(inputs[0]) {
            *out = T::from_f64(function(x.to_f64()));
        }
    } else {
        ops::gated(inputs, function, out);
    }
}

fn scores<T: Real>(inputs: &[&[T]], a: &Attention, d: &Departure, head: usize, out: &mut [T]) {
    let query = &inputs[0][head * a.head_dim..][..a.head_dim];
    let start = key_head(a, d, head) * a.head_dim;
    for (keys, out) in inputs[1].chunks_exact(a.n_head_kv * a.head_dim).zip(out) {
        let terms = query.iter().zip(&keys[start..]).map(|(q, k)| q.to_f64() * k.to_f64());
        *out = T::from_f64(sum(terms, d.precision));
    }
}

fn mix<T: Real>(probabilities: &[T], values: &[T], a: &Attention, d: &Departure, head: usize, out: &mut [T]) {
    let start = key_head(a, d, head) * a.head_dim_v;
    let width = a.n_head_kv * a.head_dim_v;
    for (i, out) in out.iter_mut().enumerate() {
        let rows = values.chunks_exact(width);
        let terms = probabilities.iter().zip(rows).map(|(p, row)| p.to_f64() * row[start + i].to_f64());
        *out = T::from_f64(sum(terms, d.precision));
    }
}

fn product<T: Real>(bound: &Bound, precision: Precision, x: &[T], out: &mut [T]) {
    let Some(matrix) = bound.matrix() else { return };
    let mut row = vec![0.0f32; x.len()];
    for (i, out) in out.iter_mut().enumerate() {
        matrix.row(i, &mut row);
        let terms = row.iter().zip(x).map(|(w, x)| *w as f64 * x.to_f64());
        let bias = bound.bias().map_or(0.0, |b| b[i] as f64);
        *out = T::from_f64(sum(terms, precision) + bias);
    }
}

fn key_head(a: &Attention, d: &Departure, head: usize) -> usize {
    match d.grouping {
        Grouping::Repeat => head / (a.n_head / a.n_head_kv),
        Grouping::Tile => head % a.n_head_kv,
    }
}

fn sum(terms: impl Iterator<Item = f64>, precision: Precision) -> f64 {
    terms.fold(0.0, |sum, term| rounded(sum + term, precision))
}

fn rounded(value: f64, precision: Precision) -> f64 {
    match precision {
        Precision::Full => value,
        Precision::F16 => half::f16::from_f64(value).to_f64(),
        Precision::Bf16 => half::bf16::from_f64(value).to_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_sums_overflow_and_bf16_sums_stand_still() {
        let many = |n: usize, v: f64, p| sum(std::iter::repeat_n(v, n), p);
        assert_eq!(many(10, 10_000.0, Precision::F16), f64::INFINITY);
        assert_eq!(many(10, 10_000.0, Precision::Full), 100_000.0);
        // 256 + 1 is not a bf16 number and rounds back.
        assert_eq!(many(400, 1.0, Precision::Bf16), 256.0);
    }

    #[test]
    fn tiled_heads_use_the_key_head_of_their_remainder() {
        let a = Attention {
            n_head: 4,
            n_head_kv: 2,
            head_dim: 1,
            head_dim_v: 1,
            scale: 1.0,
            window: None,
            softcap: None,
            cache_shift: 0,
        };
        let d = Departure { grouping: Grouping::Tile, ..Departure::default() };
        let heads = |d: &Departure| (0..4).map(|h| key_head(&a, d, h)).collect::<Vec<_>>();
        assert_eq!(heads(&d), [0, 1, 0, 1]);
        assert_eq!(heads(&Departure::default()), [0, 0, 1, 1]);
        let mut out = [0.0f64; 2];
        scores(&[&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0, 2.0, 20.0]], &a, &d, 1, &mut out);
        assert_eq!(out, [20.0, 40.0]);
    }
}
