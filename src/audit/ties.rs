//! Rounding ties: where a quantised activation lies in the middle between two steps, one engine rounds
//! it up and another down, and a whole row of products is off by that one step.

use super::arithmetic::{Part, Rule, Tie};
use super::computed::Computed;
use super::product::{Row, Weights};

/// More candidates than this in one row are not ties but a wrong rule.
const MOST: usize = 64;

/// Lets ties fall the other way as long as that brings `computed` nearer to what was recorded. Returns
/// how many fell. `split`: whether the rule multiplies minima with sums of activations.
pub fn settle(
    recorded: &[f32],
    computed: &mut Computed,
    ties: &[Tie],
    matrix: &dyn Weights,
    rule: &dyn Rule,
    split: bool,
) -> usize {
    if ties.is_empty() || ties.len() > MOST {
        return 0;
    }
    let rows = recorded.len().min(computed.values.len()).min(matrix.rows());
    // What each tie adds to the output when it falls the other way.
    let mut columns = vec![vec![0.0_f64; rows]; ties.len()];
    let mut row = Row::new(matrix, split);
    for r in 0..rows {
        row.read(matrix, rule, r);
        for (tie, column) in ties.iter().zip(&mut columns) {
            let weights = match tie.part {
                Part::Values => &row.weights,
                Part::Sums => &row.minima,
            };
            let moved = weights.get(tie.first..).unwrap_or_default();
            column[r] = moved.iter().zip(&tie.steps).map(|(&w, step)| f64::from(w) * step).sum();
        }
    }
    let mut left: Vec<usize> = (0..ties.len()).collect();
    let mut residual: Vec<f64> =
        recorded.iter().zip(&computed.values).map(|(&a, b)| f64::from(a) - b).take(rows).collect();
    let mut fallen = 0;
    loop {
        // ‖r‖² − ‖r − c‖² = 2⟨r, c⟩ − ‖c‖²
        let gain = |&tie: &usize| -> f64 {
            columns[tie].iter().zip(&residual).map(|(c, r)| (2.0 * r - c) * c).sum()
        };
        let best = left.iter().map(|tie| (gain(tie), *tie)).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((gained, tie)) = best else { break };
        let norm: f64 = residual.iter().map(|r| r * r).sum();
        // A tie that really fell explains a good part of what is left.
        if !(gained > 0.01 * norm) {
            break;
        }
        left.retain(|&t| t != tie);
        fallen += 1;
        for ((value, r), c) in computed.values.iter_mut().zip(&mut residual).zip(&columns[tie]) {
            *value += c;
            *r -= c;
        }
    }
    fallen
}
