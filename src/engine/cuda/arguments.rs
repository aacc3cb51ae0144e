//! What kernels are given, as `cuda/` declares it.

#![allow(missing_docs, reason = "described where the kernels declare them")]

use bytemuck::{Pod, Zeroable};

/// `struct Input` of `cuda/matvec/product.cuh`. Addresses; 0 is null.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Input {
    pub x: u64,
    pub norm_weight: u64,
    pub norm_bias: u64,
    pub normed: u64,
    pub n: i32,
    pub norm: i32,
    pub eps: f32,
    pub padding: i32,
}

/// `struct Part`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Part {
    pub weight: u64,
    pub bias: u64,
    pub y: u64,
    pub residual: u64,
    pub sum: u64,
    pub n_out: i32,
    pub padding: i32,
}

/// `struct Parts`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Parts {
    pub part: [Part; 3],
    pub count: i32,
    pub padding: i32,
}

/// `struct Gated`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Gated {
    pub gate: Part,
    pub up: Part,
    pub out: u64,
    pub activation: i32,
    pub padding: i32,
}

/// `struct Row` of `cuda/history.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Row {
    pub values: u64,
    pub cache: u64,
    pub width: i32,
    pub shift: i32,
}

/// `struct Turning` of `cuda/rope.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Turning {
    pub table: u64,
    pub head_dim: i32,
    pub pairs: i32,
    pub neox: i32,
    pub padding: i32,
}

/// `struct Turn` of `cuda/rope.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Turn {
    pub x: u64,
    pub out: u64,
    pub scaled: u64,
    pub factor: f32,
    pub heads: i32,
}

/// `struct Attention` of `cuda/attention/decode.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Attend {
    pub step: u64,
    pub query: u64,
    pub keys: u64,
    pub values: u64,
    pub scores: u64,
    pub maxima: u64,
    pub sums: u64,
    pub mixtures: u64,
    pub finished: u64,
    pub out: u64,
    pub queries: i32,
    pub key_heads: i32,
    pub width: i32,
    pub width_v: i32,
    pub window: i32,
    pub cap: f32,
    pub factor: f32,
    pub before: i32,
}

/// `struct Heads` of `cuda/attention/plain.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Heads {
    pub queries: i32,
    pub keys: i32,
    pub width: i32,
    pub width_v: i32,
    pub window: i32,
    pub cap: f32,
    pub factor: f32,
}

/// `struct Step` of `cuda/base.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Step {
    pub token: i32,
    pub position: i32,
}

/// `struct Columns` of `cuda/matvec/columns.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Columns {
    pub begin: u64,
    pub stride: u64,
    pub count: i32,
    pub padding: i32,
}

/// `struct Region` of `cuda/statistics.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Region {
    pub values: u64,
    pub width: i32,
    pub before: i32,
}
