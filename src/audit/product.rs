//! Matrix times many columns: each row of the matrix is widened once.

use rayon::prelude::*;

use super::arithmetic::Rule;
use super::computed::{Computed, coherent};
use super::tiles::add_products;
use crate::engine::cpu::dot;
use crate::engine::cpu::weights::Matrix;
use crate::gguf::WeightType;

/// A matrix as a product reads it: the file's, or one that a hypothesis makes of it.
pub trait Weights: Sync + Send {
    /// Rows, that is values of the output.
    fn rows(&self) -> usize;
    /// Values of one row.
    fn row_len(&self) -> usize;
    /// Widens row `row`.
    fn row(&self, row: usize, out: &mut [f32]);
    /// The row as it lies in the file, with its type; `None` where it is not the file's.
    fn stored(&self, _row: usize) -> Option<(WeightType, &[u8])> {
        None
    }
}

impl Weights for Matrix {
    fn rows(&self) -> usize {
        self.info().rows()
    }
    fn row_len(&self) -> usize {
        self.info().row_len()
    }
    fn row(&self, row: usize, out: &mut [f32]) {
        Self::row(self, row, out);
    }
    fn stored(&self, row: usize) -> Option<(WeightType, &[u8])> {
        Some((self.info().weight_type, self.row_bytes(row)?))
    }
}

/// Rows that one task takes.
const ROWS: usize = 32;

/// A column as a product reads it.
pub struct Operand {
    /// Rounded values.
    pub values: Vec<f64>,
    /// See [`Rule::sums`].
    pub sums: Option<Vec<f64>>,
    norm: f64,
}

impl Operand {
    /// A column with its norm.
    pub fn new(values: Vec<f64>, sums: Option<Vec<f64>>) -> Self {
        let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        Self { values, sums, norm }
    }
}

/// A row of a matrix as a rule multiplies it.
pub struct Row {
    /// What meets the activations.
    pub weights: Vec<f32>,
    /// What meets their sums; empty where nothing does.
    pub minima: Vec<f32>,
}

impl Row {
    /// Room for a row. `split`: whether minima meet sums of activations.
    pub fn new(matrix: &dyn Weights, split: bool) -> Self {
        let len = matrix.row_len();
        Self { weights: vec![0.0; len], minima: vec![0.0; if split { len } else { 0 }] }
    }

    /// Reads row `index`; its norm.
    pub fn read(&mut self, matrix: &dyn Weights, rule: &dyn Rule, index: usize) -> f64 {
        let norm_of = |row: &[f32]| dot::square(row).sqrt();
        matrix.row(index, &mut self.weights);
        let norm = norm_of(&self.weights);
        rule.weights(&mut self.weights);
        match matrix.stored(index).filter(|_| !self.minima.is_empty()) {
            Some((kind, bytes)) => {
                rule.split(kind, bytes, &mut self.weights, &mut self.minima);
                // Both parts are summed apart and nearly cancel.
                norm_of(&self.weights) + norm_of(&self.minima)
            }
            None => norm,
        }
    }
}

/// `matrix · column (+ bias)` for each column, over the first `rows` rows. The scale of a value is
/// ‖row‖ · ‖column‖, which is at least Σ|terms| and little more for values without order, and what a sum of terms
/// of one sign adds (see [`coherent`]).
pub fn product(
    matrix: &dyn Weights,
    rule: &dyn Rule,
    columns: &[Operand],
    bias: Option<&[f32]>,
    rows: usize,
) -> Vec<Computed> {
    let rows = rows.min(matrix.rows());
    let split = columns.iter().any(|c| c.sums.is_some());
    let values: Vec<&[f64]> = columns.iter().map(|c| &*c.values).collect();
    let sums: Vec<&[f64]> = columns.iter().filter_map(|c| c.sums.as_deref()).collect();
    // Of each row: one value a column, then the row's norm.
    let width = columns.len() + 1;
    let mut flat = vec![0.0_f64; rows * width];
    flat.par_chunks_mut(ROWS * width).enumerate().for_each_init(
        || (Row::new(matrix, split), Vec::new(), Vec::new()),
        |(row, weights, minima), (task, out)| {
            weights.clear();
            minima.clear();
            let mut summed = false;
            for (i, out) in out.chunks_mut(width).enumerate() {
                let index = task * ROWS + i;
                out[width - 1] = row.read(matrix, rule, index);
                let bias = bias.and_then(|b| b.get(index)).map_or(0.0, |&b| f64::from(b));
                for (out, column) in out.iter_mut().zip(&values) {
                    let own = rule.sum(&row.weights, column);
                    (*out, summed) = (bias + own.unwrap_or(0.0), own.is_some());
                }
                weights.extend_from_slice(&row.weights);
                minima.extend_from_slice(&row.minima);
            }
            if !summed {
                add_products(weights, &values, out, width);
            }
            if sums.len() == values.len() {
                add_products(minima, &sums, out, width);
            }
        },
    );
    columns
        .iter()
        .enumerate()
        .map(|(c, column)| Computed {
            values: flat.chunks(width).map(|row| row[c]).collect(),
            scale: flat
                .chunks(width)
                .enumerate()
                .map(|(i, row)| {
                    let bias = bias.and_then(|b| b.get(i)).map_or(0.0, |&b| f64::from(b.abs()));
                    row[width - 1] * column.norm + bias + coherent(row[c], column.values.len())
                })
                .collect(),
            ambiguity: Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::arithmetic::EXACT;
    use crate::audit::floor::floor;
    use crate::audit::judge::{Tolerance, judge};
    use crate::model::Op;

    /// Rows whose terms are mostly of one sign.
    struct Leaning;

    impl Weights for Leaning {
        fn rows(&self) -> usize {
            4096
        }
        fn row_len(&self) -> usize {
            1024
        }
        fn row(&self, row: usize, out: &mut [f32]) {
            for (i, x) in out.iter_mut().enumerate() {
                *x = 1.0 + ((row * 7919 + i * 104_729) % 1000) as f32 / 500.0;
            }
        }
    }

    #[test]
    fn a_plain_loop_in_f32_is_explained_and_one_wrong_weight_is_not() {
        let column: Vec<f64> = (0..1024).map(|i| f64::from(0.3_f32 + (i % 13) as f32 / 7.0)).collect();
        let made = product(&Leaning, &EXACT, &[Operand::new(column.clone(), None)], None, usize::MAX);
        let mut row = vec![0.0; 1024];
        let mut recorded: Vec<f32> = Vec::new();
        for r in 0..Leaning.rows() {
            Leaning.row(r, &mut row);
            recorded.push(row.iter().zip(&column).fold(0.0, |sum, (w, x)| sum + w * *x as f32));
        }
        let tolerance = Tolerance { floor: floor(&Op::MatMul), values: true, extra: 0.0 };
        let found = judge(&recorded, &made[0], &tolerance);
        assert!(found.is_explained(), "{found:?}");
        // Without what terms of one sign add it would not be.
        let strict = made[0].scale.iter().zip(&made[0].values).map(|(s, v)| s - coherent(*v, 1024));
        let strict = Computed { scale: strict.collect(), ..made[0].clone() };
        assert!(!judge(&recorded, &strict, &tolerance).is_explained());
        // A hundredth of one weight of 1024.
        Leaning.row(9, &mut row);
        recorded[9] += row[500] * column[500] as f32 * 0.01;
        assert!(!judge(&recorded, &made[0], &tolerance).is_explained());
    }
}
