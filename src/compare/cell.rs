//! One cell of both runs, compared in one pass.

use crate::model::Checkpoint;

/// How often the divergence exceeds the noise floor: 1 is noise, NaN or a lost value is infinite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Severity(pub f32);

impl Severity {
    /// Above this a cell is beyond noise.
    pub const LIMIT: f32 = 1.0;

    /// Whether the cell is beyond noise. Written so that NaN is.
    pub fn is_beyond_noise(self) -> bool {
        !(self.0 <= Self::LIMIT)
    }
}

/// Metrics over the values that both sides have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellMetrics {
    /// Σ(a−b)²/Σa², a the reference. NaN where either side holds a non-finite value the other
    /// does not hold alike.
    pub nmse: f64,
    /// Cosine of the angle between both vectors.
    pub cosine: f64,
    /// Largest |a−b|.
    pub max_abs: f32,
    /// Channel of the largest |a−b|.
    pub max_at: u32,
    /// Non-finite values of the reference.
    pub nonfinite_reference: u32,
    /// Non-finite values of the candidate.
    pub nonfinite_candidate: u32,
    /// Values compared.
    pub compared: u32,
    /// Values that the larger of both shapes promises.
    pub of: u32,
}

/// What can be said of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CellState {
    /// Both sides have it.
    Compared {
        /// The figures.
        metrics: CellMetrics,
        /// Divergence in units of the noise floor.
        severity: Severity,
        /// Whether it stands out as where an error enters: beyond noise while its inputs are within.
        origin: bool,
    },
    /// Only the reference has it.
    ReferenceOnly,
    /// Only the candidate has it.
    CandidateOnly,
    /// Both have it with shapes that cannot be the same tensor.
    ShapeMismatch,
    /// Promised by a trace but its values are not there.
    Unreadable,
}

/// One cell's result, with its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellResult {
    /// Which checkpoint.
    pub checkpoint: Checkpoint,
    /// What can be said.
    pub state: CellState,
}
