//! The operations, in either precision. Sums, norms and angles are accumulated in f64 even in the
//! f32 engine: they cost little and keep the engine's own error at one rounding per operation.

use super::real::Real;
use crate::model::graph::{Attention, Pairing, Rope};

/// `out = x / √(mean(x²) + eps)` over groups of `group` elements, times `weight` (repeated for each
/// group) where there is one.
pub fn rms_norm<T: Real>(x: &[T], eps: f32, group: usize, weight: Option<&[f32]>, out: &mut [T]) {
    for (x, out) in x.chunks(group).zip(out.chunks_mut(group)) {
        let mean = x.iter().map(|v| v.to_f64() * v.to_f64()).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (mean + eps as f64).sqrt();
        for (i, (x, out)) in x.iter().zip(out).enumerate() {
            let w = weight.map_or(1.0, |w| w[i % w.len()] as f64);
            *out = T::from_f64(x.to_f64() * scale * w);
        }
    }
}

/// `out = (x − mean) / √(var + eps) · weight + bias`.
pub fn layer_norm<T: Real>(x: &[T], eps: f32, weight: Option<&[f32]>, bias: Option<&[f32]>, out: &mut [T]) {
    let n = x.len() as f64;
    let mean = x.iter().map(|v| v.to_f64()).sum::<f64>() / n;
    let var = x.iter().map(|v| (v.to_f64() - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (var + eps as f64).sqrt();
    for (i, (x, out)) in x.iter().zip(out).enumerate() {
        let w = weight.map_or(1.0, |w| w[i] as f64);
        let b = bias.map_or(0.0, |b| b[i] as f64);
        *out = T::from_f64((x.to_f64() - mean) * scale * w + b);
    }
}

/// Angle per pair at position 1: base^(−2i/n_rot) · freq_scale / factor.
pub fn rope_frequencies(rope: &Rope, factors: Option<&[f32]>) -> Vec<f64> {
    (0..rope.n_rot / 2)
        .map(|i| {
            let exponent = -2.0 * i as f64 / rope.n_rot as f64;
            let factor = factors.map_or(1.0, |f| f[i] as f64);
            (rope.freq_base as f64).powf(exponent) * rope.freq_scale as f64 / factor
        })
        .collect()
}

/// Rotates the first `n_rot` elements of each head by position · frequency; the rest is copied.
pub fn rope<T: Real>(x: &[T], rope: &Rope, frequencies: &[f64], position: usize, out: &mut [T]) {
    out.copy_from_slice(x);
    let position = position as f64 + rope.position_shift as f64;
    let half = rope.n_rot / 2;
    for (i, frequency) in frequencies.iter().enumerate() {
        let (sin, cos) = (position * frequency).sin_cos();
        let (sin, cos) = (sin * rope.attn_factor as f64, cos * rope.attn_factor as f64);
        let (first, second) = match rope.pairing {
            Pairing::Norm => (2 * i, 2 * i + 1),
            Pairing::Neox => (i, i + half),
        };
        for head in 0..rope.heads {
            let at = head * rope.head_dim;
            let (a, b) = (x[at + first].to_f64(), x[at + second].to_f64());
            out[at + first] = T::from_f64(a * cos - b * sin);
            out[at + second] = T::from_f64(a * sin + b * cos);
        }
    }
}

/// One head's scores: query · key at each of `visible` positions. `keys` holds all key heads of a
/// position together, position slowest.
pub fn scores_of_head<T: Real>(query: &[T], keys: &[T], a: &Attention, head: usize, out: &mut [T]) {
    let width = a.n_head_kv * a.head_dim;
    let start = head / (a.n_head / a.n_head_kv) * a.head_dim;
    let query = &query[head * a.head_dim..][..a.head_dim];
    for (row, out) in keys.chunks_exact(width).zip(out) {
        *out = T::from_f64(T::dot_self(query, &row[start..][..a.head_dim]));
    }
}

/// One head's probabilities over `scores.len()` positions, the last of which is the query's own.
pub fn softmax_of_head<T: Real>(scores: &[T], a: &Attention, out: &mut [T]) {
    let hidden = a.window.map_or(0, |w| scores.len().saturating_sub(w));
    let logit = |s: &T| {
        let s = s.to_f64() * a.scale as f64;
        a.softcap.map_or(s, |cap| cap as f64 * (s / cap as f64).tanh())
    };
    let visible = &scores[hidden..];
    // `max` would drop NaN; a NaN score must reach the output.
    let max =
        visible.iter().map(logit).fold(f64::NEG_INFINITY, |m, s| if s > m || s.is_nan() { s } else { m });
    let sum: f64 = visible.iter().map(|s| (logit(s) - max).exp()).sum();
    out[..hidden].fill(T::default());
    for (s, out) in visible.iter().zip(&mut out[hidden..]) {
        *out = T::from_f64((logit(s) - max).exp() / sum);
    }
}

/// One head's output: Σ probability · value. `acc` is scratch of at least `head_dim_v`.
pub fn mix_of_head<T: Real>(
    probabilities: &[T],
    values: &[T],
    a: &Attention,
    head: usize,
    acc: &mut [f64],
    out: &mut [T],
) {
    let width = a.n_head_kv * a.head_dim_v;
    let start = head / (a.n_head / a.n_head_kv) * a.head_dim_v;
    let acc = &mut acc[..a.head_dim_v];
    acc.fill(0.0);
    for (p, row) in probabilities.iter().zip(values.chunks_exact(width)) {
        let p = p.to_f64();
        for (acc, v) in acc.iter_mut().zip(&row[start..]) {
            *acc += p * v.to_f64();
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        *out = T::from_f64(*acc);
    }
}

/// x / (1 + e^−x).
pub fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// ½x(1 + tanh(√(2/π)(x + 0.044715x³))), as `ggml_gelu`.
pub fn gelu(x: f64) -> f64 {
    const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
    0.5 * x * (1.0 + (SQRT_2_OVER_PI * x * (1.0 + 0.044715 * x * x)).tanh())
}

/// ½x(1 + erf(x/√2)): GELU without the approximation.
pub fn gelu_erf(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// `activation(gate) · up`, from two rows or from one with the gate in its first half.
pub fn gated<T: Real>(inputs: &[&[T]], activation: fn(f64) -> f64, out: &mut [T]) {
    let (gate, up) = match inputs {
        [joined] => joined.split_at(joined.len() / 2),
        _ => (inputs[0], inputs[1]),
    };
    for ((gate, up), out) in gate.iter().zip(up).zip(out) {
        *out = T::from_f64(activation(gate.to_f64()) * up.to_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attention(window: Option<usize>) -> Attention {
        Attention {
            n_head: 2,
            n_head_kv: 1,
            head_dim: 2,
            head_dim_v: 2,
            scale: 0.5,
            window,
            softcap: None,
            cache_shift: 0,
        }
    }

    #[test]
    fn rms_norm_of_known_values() {
        let mut out = [0.0f64; 2];
        rms_norm(&[3.0, 4.0], 0.0, 2, Some(&[1.0, 2.0]), &mut out);
        let rms = 12.5f64.sqrt();
        assert_eq!(out, [3.0 / rms * 1.0, 4.0 * (1.0 / rms) * 2.0]);
    }

    #[test]
    fn rope_turns_pairs_and_keeps_their_length() {
        let rope = |pairing| Rope {
            heads: 1,
            head_dim: 4,
            n_rot: 4,
            pairing,
            freq_base: 10000.0,
            freq_scale: 1.0,
            attn_factor: 1.0,
            factors: None,
            position_shift: 0,
        };
        let x = [1.0f64, 0.0, 0.0, 2.0];
        for pairing in [Pairing::Norm, Pairing::Neox] {
            let r = rope(pairing);
            let frequencies = rope_frequencies(&r, None);
            assert_eq!(frequencies, [1.0, 0.01]);
            let mut out = [0.0; 4];
            super::rope(&x, &r, &frequencies, 0, &mut out);
            assert_eq!(out, x);
            super::rope(&x, &r, &frequencies, 3, &mut out);
            let expected = match pairing {
                Pairing::Norm => [3f64.cos(), 3f64.sin(), -2.0 * 0.03f64.sin(), 2.0 * 0.03f64.cos()],
                Pairing::Neox => [3f64.cos(), -2.0 * 0.03f64.sin(), 3f64.sin(), 2.0 * 0.03f64.cos()],
            };
            for (a, b) in out.iter().zip(expected) {
                assert!((a - b).abs() < 1e-15, "{out:?} {expected:?}");
            }
        }
    }

    #[test]
    fn softmax_sums_to_one_sees_its_window_and_shows_nan() {
        let mut out = [0.0f32; 4];
        softmax_of_head(&[1000.0, 2.0, 1.0, 2.0], &attention(Some(3)), &mut out);
        assert_eq!(out[0], 0.0);
        assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-6 && out[1] == out[3] && out[2] < out[1]);
        softmax_of_head(&[0.0, f32::NAN, 0.0, 0.0], &attention(None), &mut out);
        assert!(out.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn both_query_heads_share_the_key_head() {
        let a = attention(None);
        let (keys, query) = ([1.0f64, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 1.0]);
        let mut out = [0.0; 2];
        scores_of_head(&query, &keys, &a, 0, &mut out);
        assert_eq!(out, [1.0, 3.0]);
        scores_of_head(&query, &keys, &a, 1, &mut out);
        assert_eq!(out, [2.0, 4.0]);
        let mut mixed = [0.0; 2];
        mix_of_head(&[0.25, 0.75], &keys, &a, 1, &mut [0.0; 2], &mut mixed);
        assert_eq!(mixed, [2.5, 3.5]);
    }

    #[test]
    fn activations_at_known_points() {
        assert_eq!(silu(0.0), 0.0);
        assert!((silu(1.0) - 0.731_058_578_630_004_9).abs() < 1e-15);
        // ½(1 + tanh(0.7978845608·1.044715)), computed independently to nine digits.
        assert!((gelu(1.0) - 0.841_191_990).abs() < 1e-8);
        assert!((gelu(-20.0)).abs() < 1e-12);
        // Φ(1) = 0.841344746068542949, a tabulated constant.
        assert!((gelu_erf(1.0) - 0.841_344_746_068_542_9).abs() < 1e-15);
    }
}
