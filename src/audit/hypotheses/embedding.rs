//! Another row of the embedding, or the matrix read the other way round.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::audit::product::Weights as _;
use crate::model::view::RowOrder;
use crate::model::{Op, View};

/// See the module.
pub struct Embedding;

/// Values that are read of each row while looking for the one that was recorded.
const PROBE: usize = 32;
/// Positions whose rows are looked for.
const MOST: usize = 64;
/// A matrix larger than this is not widened as a whole.
const LARGEST: usize = 1 << 28;

impl Hypothesis for Embedding {
    fn id(&self) -> &'static str {
        "embedding"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let is_token = match case.node.op {
            Op::Embed => true,
            Op::PosEmbed => false,
            _ => return Vec::new(),
        };
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let Some(matrix) = bound.matrix().cloned() else { return Vec::new() };
        let (rows, width) = (matrix.rows(), matrix.row_len());
        // Every faulty position that the mistake may be held to.
        let looked_at = &case.faulty[..case.faulty.len().min(MOST)];
        let tokens: Vec<(u32, usize)> = looked_at
            .iter()
            .filter_map(|&p| Some((p, if is_token { case.traced().token(p)? as usize } else { p as usize })))
            .collect();
        let what = if is_token { "token" } else { "position" };
        let mut trials = Vec::new();
        let mut add = |says: String, change: Change| trials.push(Trial::new(23, says, change));
        let index = move |at: crate::engine::cpu::kernel::Moment| {
            if is_token { at.token as usize } else { at.position }
        };
        for by in [1, -1] {
            let side = if by > 0 { "after" } else { "before" };
            let view = View::Rows(RowOrder::Shifted(by));
            let change = case.with(|node| node.departure.views.push(view));
            add(format!("the row {side} the {what}'s own is taken"), change);
        }
        if rows * width <= LARGEST {
            let change = case.with(|node| node.departure.views.push(View::Transposed));
            add("the embedding matrix is read transposed".into(), change);
        }
        // Which rows are they?
        let mut found = Vec::new();
        let mut row = vec![0.0; width];
        let Ok(table) = case.traced().table(case.target) else { return trials };
        let mut open: Vec<(u32, &[f32])> = looked_at
            .iter()
            .filter_map(|&p| table.row(p).map(|row| (p, &row[..PROBE.min(row.len())])))
            .filter(|_| case.is_output())
            .collect();
        let sought = open.len();
        for r in 0..rows {
            if open.is_empty() {
                break;
            }
            matrix.row(r, &mut row);
            open.retain(|(p, values)| {
                let same = values.iter().zip(&row).all(|(a, b)| a == b);
                if same {
                    found.push((*p, r));
                }
                !same
            });
        }
        found.sort_unstable();
        if found.len() == sought && !found.is_empty() {
            let of_before = is_token
                && found.iter().all(|(p, r)| {
                    case.traced().token(p.saturating_sub(1)).is_some_and(|token| token as usize == *r)
                });
            let shown: Vec<String> = found
                .iter()
                .take(3)
                .map(|(p, r)| {
                    let own = tokens.iter().find(|(q, _)| q == p).map_or(0, |(_, t)| *t);
                    format!("position {p} has row {r}, not {own}")
                })
                .collect();
            let map: std::collections::HashMap<u32, usize> = found.into_iter().collect();
            let execute = move |_: &_,
                                at: crate::engine::cpu::kernel::Moment,
                                _: &[&[f64]],
                                out: &mut Vec<f64>| {
                let mut values = vec![0.0; width];
                matrix.row(map.get(&(at.position as u32)).copied().unwrap_or_else(|| index(at)), &mut values);
                out.clear();
                out.extend(values.iter().map(|&x| f64::from(x)));
            };
            let says = if of_before {
                "the row of the token before is taken".to_owned()
            } else {
                format!("rows of other {what}s are taken ({})", shown.join(", "))
            };
            add(says, case.executed(Arc::new(execute)));
        }
        trials
    }
}
