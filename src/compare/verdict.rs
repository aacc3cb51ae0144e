//! The verdict, in the order of the argument: same computation, sound instrument, coverage, then
//! divergence.

use super::{CellMetrics, Severity};
use crate::garbage::Finding;
use crate::model::Checkpoint;

/// Where an error enters.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The position.
    pub position: u32,
    /// The checkpoint whose output is beyond noise.
    pub checkpoint: Checkpoint,
    /// Its figures.
    pub metrics: CellMetrics,
    /// How far beyond noise.
    pub severity: Severity,
    /// The worst of its inputs that both runs have, which is within noise; none when it has no
    /// inputs in the runs.
    pub worst_input: Option<(Checkpoint, Severity)>,
    /// Whether every input of the operation was in both runs (otherwise the mistake may lie in an
    /// operation between the nearest recorded ancestors and this checkpoint).
    pub isolated: bool,
    /// A sentence with the figures that say so.
    pub evidence: String,
}

/// Counts of what could not be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Positions that both runs have.
    pub positions: u32,
    /// Positions that only the reference has.
    pub reference_only_positions: u32,
    /// Positions that only the candidate has.
    pub candidate_only_positions: u32,
    /// Cells compared.
    pub cells: u64,
    /// Cells that the candidate lacks.
    pub missing_in_candidate: u64,
    /// Cells that the reference lacks.
    pub missing_in_reference: u64,
    /// Cells compared over a part of their values.
    pub partial: u64,
    /// Cells promised and not there, or of other shapes.
    pub unreadable: u64,
}

/// What the comparison says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing to compare yet.
    Pending,
    /// The two runs are not the same computation; nothing else is concluded.
    DifferentComputation {
        /// A sentence with the evidence.
        evidence: String,
    },
    /// The recorded values are not what an engine computed: the logger is at fault.
    Instrument {
        /// `reference` or `candidate`.
        side: &'static str,
        /// A sentence with the evidence.
        evidence: String,
        /// The worst finding.
        finding: Finding,
    },
    /// Too little in common to conclude anything.
    Inconclusive {
        /// A sentence that says what is missing and how to get it.
        reason: String,
        /// The counts.
        coverage: Coverage,
    },
    /// Everything compared is within noise.
    WithinNoise {
        /// The worst cell.
        worst: Option<(u32, Checkpoint, Severity)>,
        /// The counts.
        coverage: Coverage,
    },
    /// The runs part here.
    Diverged {
        /// The first divergence in order of execution.
        first: Divergence,
        /// Cells beyond noise.
        beyond: u64,
        /// The counts.
        coverage: Coverage,
    },
}

impl Verdict {
    /// Exit code of the headless commands: 0 within noise, 1 divergence or garbage,
    /// 3 inconclusive.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::WithinNoise { .. } => 0,
            Self::Diverged { .. } | Self::Instrument { .. } => 1,
            Self::Pending | Self::DifferentComputation { .. } | Self::Inconclusive { .. } => 3,
        }
    }
}
