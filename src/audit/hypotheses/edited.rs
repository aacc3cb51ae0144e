//! A matrix whose rows are changed after they are widened.

use std::sync::Arc;

use super::Case;
use crate::audit::change::Change;
use crate::audit::product::Weights;
use crate::engine::cpu::weights::Matrix;

/// What is done to a row.
pub type Edit = Arc<dyn Fn(&mut [f32]) + Send + Sync>;

struct Edited {
    matrix: Matrix,
    edit: Edit,
}

impl Weights for Edited {
    fn rows(&self) -> usize {
        Weights::rows(&self.matrix)
    }
    fn row_len(&self) -> usize {
        Weights::row_len(&self.matrix)
    }
    fn row(&self, row: usize, out: &mut [f32]) {
        Weights::row(&self.matrix, row, out);
        (self.edit)(out);
    }
}

/// The product with each row of its matrix edited.
pub fn edited(case: &Case<'_, '_>, matrix: &Matrix, edit: Edit) -> Change {
    let weights: Arc<dyn Weights> = Arc::new(Edited { matrix: matrix.clone(), edit });
    Change { weights: Some(weights), ..case.with(|_| {}) }
}
