//! Rows in each other's place: what was recorded is what another position should have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::model::Op;

/// See the module.
pub struct OtherPosition;

/// Positions that are looked through.
const MOST: usize = 256;
/// Values of each row that are compared to find its twin.
const PROBE: usize = 64;
/// How near two rows are to be taken for the same, as a share of the norm: far below the distance of
/// unlike rows, far above any rounding that both share.
const NEAR: f64 = 1e-3;

impl Hypothesis for OtherPosition {
    fn id(&self) -> &'static str {
        "other-position"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let op = &case.node.op;
        if !case.is_direct()
            || op.grows()
            || op.history_input().is_some()
            || matches!(op, Op::Embed | Op::PosEmbed)
        {
            return Vec::new();
        }
        let all: Vec<u32> = case.traced().full(case.target).iter().copied().take(MOST).collect();
        let (Ok(right), Ok(table)) = (case.right(&all, Some(PROBE)), case.traced().table(case.target)) else {
            return Vec::new();
        };
        let mut from: BTreeMap<u32, u32> = BTreeMap::new();
        for &p in case.faulty.iter().take(MOST) {
            let Some(row) = table.row(p) else { return Vec::new() };
            let nearest = right
                .iter()
                .filter(|(q, _)| **q != p)
                .map(|(q, values)| (distance(row, values), *q))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            match nearest {
                Some((distance, q)) if distance <= NEAR => from.insert(p, q),
                _ => return Vec::new(),
            };
        }
        if from.is_empty() {
            return Vec::new();
        }
        let says = describe(&from);
        let redirect = Arc::new(move |p: u32| Some(from.get(&p).copied().unwrap_or(p)));
        vec![Trial::new(0, says, Change { redirect: Some(redirect), ..case.with(|_| {}) })]
    }
}

/// ‖recorded − right‖ / ‖right‖ over the values that are compared; infinite where that means nothing.
fn distance(recorded: &[f32], right: &[f64]) -> f64 {
    let (mut square, mut norm) = (0.0, 0.0);
    for (&a, &b) in recorded.iter().zip(right).take(PROBE) {
        square += (f64::from(a) - b).powi(2);
        norm += b * b;
    }
    let distance = (square / norm).sqrt();
    if distance.is_finite() { distance } else { f64::INFINITY }
}

fn describe(from: &BTreeMap<u32, u32>) -> String {
    let mut steps = from.iter().map(|(p, q)| i64::from(*q) - i64::from(*p));
    let first = steps.next().unwrap_or(0);
    if from.len() > 1 && steps.all(|step| step == first) {
        let n = first.unsigned_abs();
        let side = if first < 0 { "earlier" } else { "later" };
        return format!("it is computed for the position {n} {side}");
    }
    let exchanged = from.iter().all(|(p, q)| from.get(q) == Some(p));
    let shown: Vec<String> = from
        .iter()
        .filter(|(p, q)| !exchanged || p < q)
        .take(4)
        .map(|(p, q)| if exchanged { format!("{p} and {q}") } else { format!("{p} has that of {q}") })
        .collect();
    let what =
        if exchanged { "rows are exchanged between positions" } else { "rows are another position's:" };
    format!("{what} {}", shown.join(", "))
}
