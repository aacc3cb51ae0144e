//! The matrix is right but read in another order: transposed, or with the rows of its heads permuted
//! between the two conventions of RoPE.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::machine::Change;
use crate::audit::product::Weights;
use crate::engine::cpu::weights::Matrix;
use crate::model::{Checkpoint, Op, Site};

/// See the module.
pub struct Layout;

/// A matrix larger than this (values) is not widened as a whole.
const LARGEST: usize = 1 << 27;

/// Value c of row r is value c · rows + r of the right one: what comes of taking one order for the other.
struct Transposed {
    flat: Vec<f32>,
    rows: usize,
    len: usize,
}

impl Weights for Transposed {
    fn rows(&self) -> usize {
        self.rows
    }
    fn row_len(&self) -> usize {
        self.len
    }
    fn row(&self, row: usize, out: &mut [f32]) {
        for (c, out) in out.iter_mut().enumerate() {
            *out = self.flat[c * self.rows + row];
        }
    }
}

struct Reordered {
    matrix: Matrix,
    from: Vec<usize>,
}

impl Weights for Reordered {
    fn rows(&self) -> usize {
        self.from.len()
    }
    fn row_len(&self) -> usize {
        Weights::row_len(&self.matrix)
    }
    fn row(&self, row: usize, out: &mut [f32]) {
        Weights::row(&self.matrix, self.from[row], out);
    }
}

impl Hypothesis for Layout {
    fn id(&self) -> &'static str {
        "layout"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !matches!(case.node.op, Op::MatMul) {
            return Vec::new();
        }
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let Some(matrix) = bound.matrix() else { return Vec::new() };
        let (rows, len) = (Weights::rows(matrix), Weights::row_len(matrix));
        let mut trials = Vec::new();
        let mut add = |says: &str, weights: Arc<dyn Weights>| {
            let change = Change { weights: Some(weights), ..case.with(|_| {}) };
            trials.push(Trial { says: says.to_owned(), change });
        };
        let site = case.node.checkpoint.map(Checkpoint::site);
        let attention = case.graph().nodes.iter().find_map(|n| n.op.attention());
        if let Some(a) = attention
            && matches!(site, Some(Site::Qcur | Site::Kcur | Site::QcurMm | Site::KcurMm))
            && rows.is_multiple_of(a.head_dim)
        {
            let half = a.head_dim / 2;
            let order = |inside: &dyn Fn(usize) -> usize| -> Vec<usize> {
                (0..rows).map(|r| r / a.head_dim * a.head_dim + inside(r % a.head_dim)).collect()
            };
            let apart = order(&|j| if j < half { 2 * j } else { 2 * (j - half) + 1 });
            let together = order(&|j| if j % 2 == 0 { j / 2 } else { half + j / 2 });
            let reordered = |from| Arc::new(Reordered { matrix: matrix.clone(), from });
            add(
                "each head's rows are permuted from neighbours to halves (RoPE's other convention)",
                reordered(apart),
            );
            add(
                "each head's rows are permuted from halves to neighbours (RoPE's other convention)",
                reordered(together),
            );
        }
        if rows.saturating_mul(len) <= LARGEST {
            let mut flat = vec![0.0; rows * len];
            for (r, out) in flat.chunks_mut(len).enumerate() {
                Weights::row(matrix, r, out);
            }
            add("the matrix is used transposed", Arc::new(Transposed { flat, rows, len }));
        }
        trials
    }
}
