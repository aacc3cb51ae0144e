//! Values of later positions of the same batch that reach a mix which must not see them: those that are not finite
//! even where their probability is 0, all of them where no mask hides them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Case, Hypothesis, Observation, Trial};
use crate::model::Op;
use crate::model::graph::Attention;

/// See the module.
pub struct LaterPositions;

/// How near the other values are to what is right, beside those that are not finite: caches are rounded.
const NEAR: f64 = 1e-2;
/// Probabilities that add up to less than this lack something; in f32 they are 1 to some 1e-7.
const WHOLE: f64 = 1.0 - 2e-6;

impl Hypothesis for LaterPositions {
    fn id(&self) -> &'static str {
        "later-positions"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Op::Mix(a) = &case.node.op else { return Vec::new() };
        if !case.is_direct() {
            return Vec::new();
        }
        unmasked(case, a).into_iter().collect()
    }
    fn observe(&self, case: &Case<'_, '_>) -> Option<Observation> {
        let Op::Mix(a) = &case.node.op else { return None };
        let mut spoilt = false;
        for (p, recorded, right) in case.rows().filter(|_| case.is_direct()) {
            let through = masked(case, a, p)?;
            for ((&x, right), through) in recorded.iter().zip(right).zip(through) {
                let near = (f64::from(x) - right).abs() <= NEAR * right.abs().max(NEAR);
                if !(if through { x.is_nan() } else { near || (x.is_nan() && right.is_nan()) }) {
                    return None;
                }
                spoilt |= through;
            }
        }
        let says = "values of later positions that are not finite come through the mask: 0 times NaN is NaN"
            .to_owned();
        spoilt.then_some(Observation { mistake: None, says, left: 0.0 })
    }
}

/// Rows of values after `position`.
fn later(case: &Case<'_, '_>, position: u32) -> Option<Vec<Vec<f64>>> {
    let table = case.traced().table(*case.node.inputs.get(1)?).ok()?;
    Some(table.rows.range(position + 1..).map(|(_, row)| row.iter().map(|&x| x.into()).collect()).collect())
}

/// What each row is changed by.
fn adding(case: &Case<'_, '_>, says: &str, more: BTreeMap<u32, Vec<f64>>) -> Trial {
    let mut change = case.with(|_| {});
    change.post = Some(Arc::new(move |position, out| {
        let Some(more) = more.get(&position) else { return };
        out.iter_mut().zip(more).for_each(|(x, more)| *x += more);
    }));
    Trial::new(0, says.to_owned(), change)
}

/// Which values become NaN at `position`: 0 · NaN and 0 · ∞ are.
fn masked(case: &Case<'_, '_>, a: &Attention, position: u32) -> Option<Vec<bool>> {
    let mut through = vec![false; case.node.width];
    for value in later(case, position)? {
        for (head, out) in through.chunks_mut(a.head_dim_v).enumerate() {
            let of_head = value.get(head * a.n_head_kv / a.n_head * a.head_dim_v..)?;
            out.iter_mut().zip(of_head).for_each(|(out, x)| *out |= !x.is_finite());
        }
    }
    Some(through)
}

/// Heads whose probabilities do not add up to one: the rest is shares of later values, which least squares tell.
fn unmasked(case: &Case<'_, '_>, a: &Attention) -> Option<Trial> {
    let mut more = BTreeMap::new();
    let table = case.traced().table(case.target).ok()?;
    let right = case.right(&case.faulty, None).ok()?;
    for &p in &case.faulty {
        let (probabilities, recorded, right) = (case.input(0, p)?, table.row(p)?, right.get(&p)?);
        let values = later(case, p)?;
        let mut row = vec![0.0; case.node.width];
        for (head, shares) in probabilities.chunks(p as usize + 1).enumerate() {
            let lacks = 1.0 - shares.iter().sum::<f64>();
            if 1.0 - lacks >= WHOLE {
                continue;
            }
            let at = head * a.head_dim_v..(head + 1) * a.head_dim_v;
            let off: Vec<f64> = recorded
                .get(at.clone())?
                .iter()
                .zip(&right[at.clone()])
                .map(|(&x, y)| f64::from(x) - y)
                .collect();
            let from = head * a.n_head_kv / a.n_head * a.head_dim_v;
            let columns: Vec<&[f64]> =
                values.iter().map(|row| row.get(from..from + a.head_dim_v)).collect::<Option<_>>()?;
            // As many shares as values would explain anything.
            if columns.len() * 2 > a.head_dim_v {
                return None;
            }
            let found = least_squares(&columns, &off)?;
            if (found.iter().sum::<f64>() - lacks).abs() > 1e-2 * lacks + 1e-5 {
                return None;
            }
            for (share, column) in found.iter().zip(&columns) {
                row[at.clone()].iter_mut().zip(*column).for_each(|(out, x)| *out += share * x);
            }
        }
        more.insert(p, row);
    }
    let says = "values of later positions are mixed in: the causal mask does not hide them";
    more.values().flatten().any(|x| *x != 0.0).then(|| adding(case, says, more))
}

/// Shares of `columns` that are nearest to `sum`.
fn least_squares(columns: &[&[f64]], sum: &[f64]) -> Option<Vec<f64>> {
    let n = columns.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut rows: Vec<Vec<f64>> =
        columns.iter().map(|a| columns.iter().map(|b| dot(a, b)).chain([dot(a, sum)]).collect()).collect();
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, pivot);
        if !(rows[i][i].abs() > 0.0) {
            return None;
        }
        let (head, tail) = rows.split_at_mut(i + 1);
        for row in tail {
            let factor = row[i] / head[i][i];
            row.iter_mut().zip(&head[i]).for_each(|(x, y)| *x -= factor * y);
        }
    }
    let mut found = vec![0.0; n];
    for i in (0..n).rev() {
        let rest: f64 = (i + 1..n).map(|j| rows[i][j] * found[j]).sum();
        found[i] = (rows[i][n] - rest) / rows[i][i];
    }
    found.iter().all(|x: &f64| x.is_finite()).then_some(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_are_found() {
        let columns: [&[f64]; 2] = [&[1.0, 2.0, 0.5], &[-1.0, 0.0, 3.0]];
        let sum: Vec<f64> = columns[0].iter().zip(columns[1]).map(|(a, b)| 0.25 * a + 2.0 * b).collect();
        let found = super::least_squares(&columns, &sum).unwrap();
        assert!((found[0] - 0.25).abs() < 1e-12 && (found[1] - 2.0).abs() < 1e-12, "{found:?}");
        assert!(super::least_squares(&[&[0.0, 0.0]], &[1.0, 1.0]).is_none());
    }
}
