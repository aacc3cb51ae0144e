//! How large an error an operation may have, given the errors its inputs have: what it passes on
//! and what its own rounding adds.
//!
//! Everything is a relative error, √(Σ(a−b)²/Σa²) of a row. Whatever the weights are, a norm and a
//! product pass an error on about as large as it came (an error has no reason to lie in a direction
//! that the matrix prefers), a rotation keeps it exactly, a sum adds absolute errors at most, and
//! the softmax's is bounded by its largest error in a score. What rounding adds is known from the
//! row that is rounded (see [`super::rounding`]).

use std::collections::HashMap;

use super::lineage::{Input, Kind, Lineage};
use super::metrics::worse;
use super::noise::Noise;
use crate::model::{Checkpoint, Site};

/// What is kept of one compared cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// √(Σ(a−b)²/Σa²).
    pub error: f32,
    /// √Σa² of the reference.
    pub norm: f32,
    /// Values of the reference.
    pub width: u32,
    /// Largest |a−b|.
    pub peak: f32,
    /// Relative error that rounding this row as a product's input makes; 0 where it is not rounded.
    pub rounding: f32,
    /// √(Σ(a−b)²) can be no smaller: rounding of the record itself (f16, bf16, printed digits).
    pub record: f32,
    /// Whether only a part of the row was compared.
    pub part: bool,
}

/// What was expected of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// The relative error that the inputs' errors and rounding explain.
    pub error: f64,
    /// The input with the largest error, and that error.
    pub worst_input: Option<(Checkpoint, f32)>,
    /// Whether every input was there.
    pub isolated: bool,
}

/// Looks cells up while expectations are made.
pub struct Expect<'a> {
    /// Who is computed from what.
    pub lineage: &'a Lineage,
    /// What rounding adds.
    pub noise: &'a Noise,
    /// The cell at this position.
    pub here: &'a dyn Fn(Checkpoint) -> Option<Measured>,
    /// Largest error of the checkpoint at this and all earlier positions.
    pub history: &'a dyn Fn(Checkpoint) -> Option<f32>,
    /// The position.
    pub position: u32,
    /// Length of one query head, if known: scores are divided by its root before the softmax.
    pub head_dim: Option<u32>,
}

struct Known {
    error: f64,
    norm: Option<f64>,
    rounding: Option<f64>,
    peak: Option<f64>,
}

/// One expectation in the making.
struct Walk {
    out: Expectation,
    /// Errors of checkpoints that are not there: many paths lead to each, so it is worked out once.
    unrecorded: HashMap<Checkpoint, f64>,
}

/// Deeper than the longest chain of unrecorded operations between two layers.
const DEPTH: usize = 40;

impl Expect<'_> {
    /// What may be expected of `checkpoint`, whose reference norm is `norm`.
    pub fn of(&self, checkpoint: Checkpoint, norm: f64) -> Expectation {
        let out = Expectation { error: 0.0, worst_input: None, isolated: true };
        let mut walk = Walk { out, unrecorded: HashMap::new() };
        walk.out.error = self.error(checkpoint, Some(norm), &mut walk, DEPTH);
        walk.out
    }

    fn known(&self, input: Input, walk: &mut Walk, depth: usize) -> Option<Known> {
        let out = &mut walk.out;
        if let Some(cell) = (self.here)(input.checkpoint) {
            let past = if input.history { (self.history)(input.checkpoint).unwrap_or(0.0) } else { 0.0 };
            let error = worse(past.into(), cell.error.into()) as f32;
            if out.worst_input.is_none_or(|(_, worst)| !worst.is_nan() && !(error <= worst)) {
                out.worst_input = Some((input.checkpoint, error));
            }
            return Some(Known {
                error: error.into(),
                norm: Some(cell.norm.into()),
                rounding: (cell.rounding > 0.0).then_some(cell.rounding.into()),
                peak: Some(cell.peak.into()),
            });
        }
        out.isolated = false;
        let depth = depth.checked_sub(1)?;
        let known = walk.unrecorded.get(&input.checkpoint).copied();
        let error = known.unwrap_or_else(|| self.error(input.checkpoint, None, walk, depth));
        walk.unrecorded.insert(input.checkpoint, error);
        Some(Known { error, norm: None, rounding: None, peak: None })
    }

    fn error(&self, checkpoint: Checkpoint, norm: Option<f64>, walk: &mut Walk, depth: usize) -> f64 {
        let inputs: Vec<Known> = self
            .lineage
            .parents(checkpoint)
            .iter()
            .filter_map(|&input| self.known(input, walk, depth))
            .collect();
        let site = checkpoint.site();
        let kind = self.lineage.kind(checkpoint);
        let combined = inputs.iter().map(|k| k.error * k.error).sum::<f64>().sqrt();
        let passed = match kind {
            Kind::Lookup => 0.0,
            Kind::Product | Kind::Norm | Kind::Rotation | Kind::Scores | Kind::Mix | Kind::Gate => combined,
            Kind::Add | Kind::Shift => absolute(&inputs, norm).unwrap_or(combined),
            Kind::SoftMax => self.softmax(&inputs).unwrap_or(combined),
        };
        let own = match kind {
            Kind::Product => inputs
                .iter()
                .find_map(|k| k.rounding)
                .map_or_else(|| self.noise.fresh(site, self.position), |q| self.noise.product(q)),
            _ => self.noise.fresh(site, self.position),
        };
        passed.hypot(own)
    }

    /// p changes by a factor between e^−2δ and e^2δ when every score changes by at most δ.
    fn softmax(&self, inputs: &[Known]) -> Option<f64> {
        let peak = inputs.first()?.peak?;
        let scaled = self.lineage.has_site(Site::QcurScaled);
        let scale = match self.head_dim {
            Some(n) if n > 0 && !scaled => 1.0 / f64::from(n).sqrt(),
            _ => 1.0,
        };
        // Two rows of probabilities are never farther apart than this.
        Some((2.0 * peak * scale).exp_m1().min(2.0))
    }
}

/// The sum of absolute errors, relative to the output.
fn absolute(inputs: &[Known], norm: Option<f64>) -> Option<f64> {
    let norm = norm.filter(|&n| n > 0.0)?;
    inputs.iter().map(|k| k.norm.map(|n| k.error * n)).sum::<Option<f64>>().map(|sum| sum / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of two runs may have its logits alone: every layer in between is a question then.
    #[test]
    fn logits_alone_are_expected_without_walking_every_path() {
        let mut lineage = Lineage::default();
        lineage.insert(Checkpoint::global(Site::Embd));
        for layer in 0..24 {
            let sites = [
                Site::AttnNorm,
                Site::Qcur,
                Site::Kcur,
                Site::Vcur,
                Site::Kq,
                Site::KqSoftMax,
                Site::KqvOut,
                Site::AttnOut,
                Site::FfnInp,
                Site::FfnNorm,
                Site::FfnGate,
                Site::FfnUp,
                Site::FfnSwiglu,
                Site::FfnOut,
                Site::LOut,
            ];
            for site in sites {
                lineage.insert(Checkpoint::layer(site, layer));
            }
        }
        lineage.insert(Checkpoint::global(Site::ResultNorm));
        lineage.insert(Checkpoint::LOGITS);
        let noise = Noise::for_pair(None, None);
        let logits = Measured { error: 0.5, norm: 1.0, width: 10, ..Measured::default() };
        let expect = Expect {
            lineage: &lineage,
            noise: &noise,
            here: &|checkpoint| (checkpoint == Checkpoint::LOGITS).then_some(logits),
            history: &|_| None,
            position: 0,
            head_dim: None,
        };
        // Paths double a few times a layer: on each of them this would take years.
        let expected = expect.of(Checkpoint::LOGITS, 1.0);
        assert!(expected.error.is_finite() && !expected.isolated);
        assert_eq!(expected.worst_input, None);
    }
}
