//! The two precisions of the CPU backend: `f32` is the engine, `f64` the oracle.

use std::borrow::Cow;
use std::fmt::Debug;

use super::dot;

/// A number the backend computes with. Weights are dequantised to f32 in both precisions.
pub trait Real: Copy + Debug + Default + PartialOrd + Send + Sync + 'static {
    /// What the trace calls the backend.
    const BACKEND: &'static str;
    /// What the trace calls the arithmetic.
    const ARITHMETIC: &'static str;

    /// Widens or keeps.
    fn from_f32(value: f32) -> Self;
    /// Rounds to nearest.
    fn from_f64(value: f64) -> Self;
    /// Widens.
    fn to_f64(self) -> f64;
    /// The values as f32, without a copy where they are.
    fn to_f32s(values: &[Self]) -> Cow<'_, [f32]>;
    /// Σ weights\[i\] · x\[i\], accumulated in f64 across pieces of [`dot::PIECE`] values.
    fn dot(weights: &[f32], x: &[Self]) -> f64;
    /// Σ a\[i\] · b\[i\], as above.
    fn dot_self(a: &[Self], b: &[Self]) -> f64;
}

impl Real for f32 {
    const BACKEND: &'static str = "CPU";
    const ARITHMETIC: &'static str = "f32";

    fn from_f32(value: f32) -> Self {
        value
    }
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn to_f32s(values: &[Self]) -> Cow<'_, [f32]> {
        Cow::Borrowed(values)
    }
    fn dot(weights: &[f32], x: &[Self]) -> f64 {
        dot::f32_f32(weights, x)
    }
    fn dot_self(a: &[Self], b: &[Self]) -> f64 {
        dot::f32_f32(a, b)
    }
}

impl Real for f64 {
    const BACKEND: &'static str = "oracle";
    const ARITHMETIC: &'static str = "f64";

    fn from_f32(value: f32) -> Self {
        value as f64
    }
    fn from_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn to_f32s(values: &[Self]) -> Cow<'_, [f32]> {
        Cow::Owned(values.iter().map(|&v| v as f32).collect())
    }
    fn dot(weights: &[f32], x: &[Self]) -> f64 {
        dot::f32_f64(weights, x)
    }
    fn dot_self(a: &[Self], b: &[Self]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }
}
