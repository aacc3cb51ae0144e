//! One cell of both runs, compared in one pass.

use super::metrics::{Sums, sums};
use crate::model::{Checkpoint, Site};
use crate::trace::Tensor;

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

/// How many logits two traces of one model may differ in: engines pad the vocabulary to a multiple
/// that suits their kernels (Phi-3: 32,064 for 32,011; common multiples go up to 512).
pub const VOCABULARY_PADDING: usize = 1024;

/// The sums of one cell and how many values the larger shape promises; `None` when the shapes
/// cannot be the same tensor.
///
/// Shapes are the same tensor when their products agree, whatever their axes. Attention scores and
/// probabilities are compared over the positions that `position` can see: llama.cpp pads them to a
/// multiple of 256 and leaves the rest undefined.
pub fn cell_sums(
    checkpoint: Checkpoint,
    position: u32,
    reference: &Tensor,
    candidate: &Tensor,
) -> Option<(Sums, u32)> {
    if is_per_position(checkpoint.site()) {
        return visible_sums(position, reference, candidate);
    }
    let (a, b) = (product(&reference.shape)?, product(&candidate.shape)?);
    let padded = checkpoint == Checkpoint::LOGITS && a.abs_diff(b) <= VOCABULARY_PADDING && a.min(b) > 0;
    if a != b && !padded {
        return None;
    }
    Some((sums(&reference.values, &candidate.values), u32::try_from(a.min(b)).ok()?))
}

/// Whether a site's width grows with the position: `[positions, heads]`.
pub fn is_per_position(site: Site) -> bool {
    matches!(site, Site::Kq | Site::KqSoftMax)
}

fn product(shape: &[u32]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, &axis| n.checked_mul(axis as usize))
}

fn visible_sums(position: u32, reference: &Tensor, candidate: &Tensor) -> Option<(Sums, u32)> {
    let columns = |t: &Tensor| Some((*t.shape.first()? as usize, product(t.shape.get(1..)?)?));
    let ((wide_a, heads_a), (wide_b, heads_b)) = (columns(reference)?, columns(candidate)?);
    let visible = position as usize + 1;
    if heads_a != heads_b || wide_a.min(wide_b) == 0 {
        return None;
    }
    let seen = visible.min(wide_a).min(wide_b);
    let mut total = Sums::default();
    for head in 0..heads_a {
        let row = |values: &'_ [f32], wide: usize| {
            let start = (head * wide).min(values.len());
            start..(start + seen).min(values.len())
        };
        let a = &reference.values[row(&reference.values, wide_a)];
        let b = &candidate.values[row(&candidate.values, wide_b)];
        total.add(head * seen, a, b);
    }
    Some((total, u32::try_from(visible.checked_mul(heads_a)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[u32], values: Vec<f32>) -> Tensor {
        Tensor { shape: shape.to_vec(), values, exact: true }
    }

    #[test]
    fn axes_may_differ_when_the_product_agrees() {
        let q = Checkpoint::layer(Site::Qcur, 0);
        let a = tensor(&[4, 2], vec![1.0; 8]);
        assert!(cell_sums(q, 0, &a, &tensor(&[8], vec![1.0; 8])).is_some());
        assert!(cell_sums(q, 0, &a, &tensor(&[4], vec![1.0; 4])).is_none());
        let (s, of) = cell_sums(q, 0, &a, &tensor(&[8], vec![1.0; 3])).unwrap();
        assert_eq!((s.compared, of), (3, 8), "a partial record is compared over what is there");
    }

    #[test]
    fn scores_are_compared_over_the_visible_positions_of_each_head() {
        let kq = Checkpoint::layer(Site::Kq, 0);
        // Two heads at position 1: two visible columns, padded to 4 with anything on one side.
        let a = tensor(&[4, 1, 2], vec![1.0, 2.0, f32::NAN, 7.0, 3.0, 4.0, 9.0, f32::NEG_INFINITY]);
        let b = tensor(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let (s, of) = cell_sums(kq, 1, &a, &b).unwrap();
        assert_eq!((s.nmse(), s.compared, of), (0.0, 4, 4));
        assert!(cell_sums(kq, 1, &a, &tensor(&[2, 1], vec![1.0, 2.0])).is_none(), "other number of heads");
        let short = tensor(&[1, 2], vec![1.0, 3.0]);
        let (s, of) = cell_sums(kq, 1, &a, &short).unwrap();
        assert_eq!((s.compared, of), (2, 4), "a side that saw fewer positions is partial");
    }

    #[test]
    fn a_padded_vocabulary_is_compared_over_the_common_part() {
        let a = tensor(&[32_000], vec![1.0; 32_000]);
        let b = tensor(&[32_064], vec![1.0; 32_064]);
        assert_eq!(cell_sums(Checkpoint::LOGITS, 0, &a, &b).map(|(s, _)| s.compared), Some(32_000));
        assert!(cell_sums(Checkpoint::LOGITS, 0, &a, &tensor(&[50_257], vec![1.0; 50_257])).is_none());
    }

    #[test]
    fn nan_is_beyond_noise() {
        assert!(Severity(f32::NAN).is_beyond_noise());
        assert!(!Severity(1.0).is_beyond_noise());
    }
}
