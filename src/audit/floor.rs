//! How far a recorded value may be from the computed one: the table of floors, and what each is owed to.
//!
//! Two bounds hold at once. Of a whole row: ‖difference‖ ≤ floor · ‖row‖ + [`SUMS`] · ε · ‖Σ|terms|‖.
//! Of each value: |difference| ≤ factor · ε · Σ|terms|, so that one wrong value shows that the
//! norm of a long row would hide. ε is 2⁻²⁴, half a unit of f32's last place.

use crate::model::Op;

/// Half a unit in the last place of f32.
pub const EPSILON: f64 = 1.0 / (1 << 24) as f64;

/// Roundings of an f32 sum, in units of ε · Σ|terms|: a plain loop over random terms makes 0.4
/// (each partial sum rounds by up to ε of itself), vector lanes much less.
pub const SUMS: f64 = 0.5;

/// Bounds for one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Share of the row's norm.
    pub row: f64,
    /// Units of ε · Σ|terms| for a single value.
    pub value: f64,
}

/// The floor of an operation under a rule without one of its own.
///
/// Measured: llama.cpp on the CPU over seven models shipped with paritty and seven random ones, and our own
/// engine, stay below a third of each row bound (products 8.9e-7 at worst, norms, RoPE, softmax and
/// activations 4.5e-7; GELU cancels for negative arguments). The bound of a value is some five times the
/// largest that was seen.
pub fn floor(op: &Op) -> Floor {
    match op {
        Op::Embed | Op::PosEmbed | Op::Slice { .. } => Floor { row: 1e-7, value: 4.0 },
        Op::MatMul | Op::Scores(_) | Op::Mix(_) => Floor { row: 1e-6, value: 6.0 },
        Op::Gelu => Floor { row: 5e-6, value: 64.0 },
        Op::SoftMax(_) => Floor { row: 1e-6, value: 24.0 },
        _ => Floor { row: 1e-6, value: 16.0 },
    }
}

/// Attention from query, keys and values: three operations' roundings meet.
pub const WHOLE_ATTENTION: Floor = Floor { row: 3e-6, value: 24.0 };

/// How much further than a probe (see [`super::machine`]) a correct engine may be: the probe shows the
/// typical effect of what was not recorded, not the largest.
pub const PROBE_MARGIN: f64 = 6.0;

/// How far a probe moves what was not recorded: half the floor of the operations that made it.
pub const PROBE: f64 = 5e-7;

/// The same where operands are rounded to a few bits on the way. There the cost comes in jumps, when a value falls on
/// the other side of a rounding step; a correct engine is so near (1e-7) that a few of thousands of values do,
/// and a hundred times further a probe is sure to show some at every position.
pub const PROBE_COARSE: f64 = 1e-5;

/// Where recomputing from far back is this inexact, nothing is concluded.
pub const TOO_WIDE: f64 = 0.3;
