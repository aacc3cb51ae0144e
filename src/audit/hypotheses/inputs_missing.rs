//! Inputs of a product that take no part in it: a column, a tile, one half of a sum that was split.

use std::sync::Arc;

use super::edited::edited;
use super::{Case, Hypothesis, Trial};
use crate::audit::product::Weights as _;
use crate::model::Op;
use crate::text::safe;

/// See the module.
pub struct InputsMissing;

/// A matrix larger than this (values) is not looked through.
const LARGEST: usize = 1 << 27;
/// Share of a column that has to be missing for it to count as missing: between 0 and 1 lies nothing but
/// what columns have in common by chance.
const MISSING: f64 = 0.5;

impl Hypothesis for InputsMissing {
    fn id(&self) -> &'static str {
        "inputs-missing"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !matches!(case.node.op, Op::MatMul) || !case.is_direct() {
            return Vec::new();
        }
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let Some(matrix) = bound.matrix().filter(|m| m.rows() * m.row_len() <= LARGEST) else {
            return Vec::new();
        };
        let Some(missing) = shares(case, matrix) else { return Vec::new() };
        let mut sets = vec![(0..missing.len()).filter(|&c| missing[c] > MISSING).collect::<Vec<usize>>()];
        sets.extend(stretch(case, matrix));
        sets.sort();
        sets.dedup();
        let name = safe(case.node.weight.as_deref().unwrap_or_default()).into_owned();
        sets.into_iter()
            .filter(|columns| !columns.is_empty() && columns.len() < missing.len())
            .map(|columns| {
                let says =
                    format!("{} of {name} take no part in the product", listed(&columns, missing.len()));
                let mut out = vec![false; missing.len()];
                for &c in &columns {
                    out[c] = true;
                }
                let edit = move |row: &mut [f32]| {
                    row.iter_mut().zip(&out).filter(|(_, out)| **out).for_each(|(w, _)| *w = 0.0);
                };
                Trial::new(0, says, edited(case, matrix, Arc::new(edit)))
            })
            .collect()
    }
}

/// For each column, which share of it is missing from the result (least squares, columns by themselves).
fn shares(case: &Case<'_, '_>, matrix: &crate::engine::cpu::weights::Matrix) -> Option<Vec<f64>> {
    let width = matrix.row_len();
    let rows: Vec<(Vec<f64>, &[f32], &[f64])> =
        case.rows().map(|(p, a, b)| Some((case.input(0, p)?, a, b))).collect::<Option<_>>()?;
    let (mut along, mut square) = (vec![vec![0.0; width]; rows.len()], vec![0.0; width]);
    let mut weights = vec![0.0; width];
    for r in 0..matrix.rows() {
        matrix.row(r, &mut weights);
        for ((_, recorded, right), along) in rows.iter().zip(&mut along) {
            let Some(&recorded) = recorded.get(r) else { continue };
            let off = f64::from(recorded) - right[r];
            if !off.is_finite() {
                return None;
            }
            along.iter_mut().zip(&weights).for_each(|(a, w)| *a += off * f64::from(*w));
        }
        square.iter_mut().zip(&weights).for_each(|(s, w)| *s += f64::from(*w).powi(2));
    }
    let mut shares = vec![0.0; width];
    for (c, share) in shares.iter_mut().enumerate() {
        let (mut both, mut own) = (0.0, 0.0);
        for ((x, _, _), along) in rows.iter().zip(&along) {
            both -= x.get(c)? * along[c];
            own += x[c] * x[c] * square[c];
        }
        *share = if own > 0.0 { both / own } else { 0.0 };
    }
    Some(shares)
}

/// Values of the result that a stretch of columns is looked for in.
const LOOKED_AT: usize = 256;
/// Tiles that a row is divided into at most: pairs of their edges are tried.
const TILES: usize = 160;

/// The stretch of whole tiles whose contribution is nearest to what the result lacks.
fn stretch(case: &Case<'_, '_>, matrix: &crate::engine::cpu::weights::Matrix) -> Option<Vec<usize>> {
    let width = matrix.row_len();
    let mut tile = 8;
    while width / tile > TILES {
        tile *= 2;
    }
    let edges: Vec<usize> = (0..width).step_by(tile).chain([width]).collect();
    // For each edge: contributions of all columns before it, for each value and position.
    let mut before: Vec<Vec<f64>> = vec![Vec::new(); edges.len()];
    let mut lacks: Vec<f64> = Vec::new();
    let mut weights = vec![0.0; width];
    let inputs: Vec<Vec<f64>> = case.rows().map(|(p, _, _)| case.input(0, p)).collect::<Option<_>>()?;
    for r in 0..matrix.rows().min(LOOKED_AT) {
        matrix.row(r, &mut weights);
        for ((_, recorded, right), x) in case.rows().zip(&inputs) {
            lacks.push(right[r] - f64::from(*recorded.get(r)?));
            let (mut sum, mut done) = (0.0, 0);
            for (edge, before) in edges.iter().zip(&mut before) {
                sum += weights[done..*edge]
                    .iter()
                    .zip(&x[done..*edge])
                    .map(|(w, x)| f64::from(*w) * x)
                    .sum::<f64>();
                done = *edge;
                before.push(sum);
            }
        }
    }
    let mut best = (f64::INFINITY, 0, 0);
    for from in 0..edges.len() {
        for to in from + 1..edges.len() {
            let left: f64 = lacks
                .iter()
                .zip(before[from].iter().zip(&before[to]))
                .map(|(lack, (a, b))| (lack - (b - a)).powi(2))
                .sum();
            if left < best.0 {
                best = (left, edges[from], edges[to]);
            }
        }
    }
    best.0.is_finite().then(|| (best.1..best.2).collect())
}

fn listed(columns: &[usize], of: usize) -> String {
    match columns {
        [only] => format!("column {only}"),
        [first, .., last] if last - first + 1 == columns.len() => {
            let end = if *last + 1 == of { ", the last," } else { "" };
            format!("columns {first} to {last}{end}")
        }
        _ => {
            let shown: Vec<String> = columns.iter().take(6).map(ToString::to_string).collect();
            let more = if columns.len() > 6 { " …" } else { "" };
            format!("columns {}{more}", shown.join(", "))
        }
    }
}
