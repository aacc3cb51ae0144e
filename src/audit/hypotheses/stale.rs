//! What was recorded is, bit for bit, something else that was recorded.

use super::{Case, Hypothesis, Observation};
use crate::audit::witness::Witness;
use crate::model::{Checkpoint, NodeId, Site};

/// See the module.
pub struct Stale;

/// Rows that are equal by chance (a few zeros) are shorter than this.
const SHORTEST: usize = 8;

impl Hypothesis for Stale {
    fn id(&self) -> &'static str {
        "stale"
    }
    fn blames_instrument(&self) -> bool {
        true
    }
    fn observe(&self, case: &Case<'_, '_>) -> Option<Observation> {
        // What the engine went on with, it had computed, whatever it is equal to.
        if matches!(case.witness(), Witness::Used | Witness::Neither) {
            return None;
        }
        let own = case.traced().table(case.target).ok()?;
        let graph = case.graph();
        let same = |a: &[f32], b: &[f32]| {
            a.len() >= SHORTEST
                && a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let at_zero = |row: &[f32]| row.iter().all(|x| *x == 0.0 || !x.is_finite());
        // Another position, the same distance back each time.
        let mut distances: Vec<i64> = Vec::new();
        for &p in &case.positions {
            let row = own.row(p).filter(|row| !at_zero(row))?;
            let twin = own.rows.iter().find(|(q, other)| **q != p && same(row, other));
            match twin {
                Some((q, _)) => distances.push(i64::from(*q) - i64::from(p)),
                None => break,
            }
        }
        if distances.len() == case.positions.len() && !distances.is_empty() {
            let where_from = match distances[..] {
                [d, ref rest @ ..] if rest.iter().all(|x| *x == d) => {
                    let (n, side) = (d.abs(), if d < 0 { "earlier" } else { "later" });
                    format!("{n} position{} {side}", if n == 1 { "" } else { "s" })
                }
                _ => "another position".to_owned(),
            };
            return Some(Observation {
                mistake: None,
                says: format!("holds the values recorded {where_from}, bit for bit"),
                left: 0.0,
            });
        }
        // Another checkpoint at the same position.
        for (index, node) in graph.nodes.iter().enumerate() {
            let id = NodeId(index as u32);
            let Some(checkpoint) =
                node.checkpoint.filter(|_| id != case.target && node.width == case.node.width)
            else {
                continue;
            };
            if !case.positions.iter().all(|p| case.traced().full(id).contains(p)) {
                continue;
            }
            let other = case.traced().table(id).ok()?;
            let equal =
                |p: &u32| own.row(*p).zip(other.row(*p)).is_some_and(|(a, b)| !at_zero(a) && same(a, b));
            if case.positions.iter().all(equal) {
                let own = case.node.checkpoint;
                let mistake = match (own.map(Checkpoint::site), checkpoint.site()) {
                    (Some(Site::ResultNorm), Site::LOut) => Some("logged-before-norm"),
                    (Some(Site::LOut), Site::FfnInp | Site::FfnOut) => Some("residual-in-parts"),
                    (Some(a), b) if a == b => Some("stale-dump"),
                    _ => None,
                };
                return Some(Observation {
                    mistake,
                    says: format!("holds the values of {checkpoint}, bit for bit"),
                    left: 0.0,
                });
            }
        }
        None
    }
}
