//! A part of a row that was not written: it still holds what another row of the same width has there.

use super::{Case, Hypothesis, Observation};
use crate::model::NodeId;

/// See the module.
pub struct StalePart;

/// Fewer values are equal by chance, or zeros.
const FEWEST: usize = 8;
/// What is off by more than this share of a row's typical value is wrong.
const OFF: f64 = 1e-4;

impl Hypothesis for StalePart {
    fn id(&self) -> &'static str {
        "stale-part"
    }
    fn observe(&self, case: &Case<'_, '_>) -> Option<Observation> {
        if !case.is_direct() || case.node.op.grows() {
            return None;
        }
        let graph = case.graph();
        let mut off: Vec<(u32, &[f32], Vec<usize>)> = Vec::new();
        for (p, recorded, right) in case.rows() {
            let typical = (right.iter().map(|x| x * x).sum::<f64>() / right.len() as f64).sqrt();
            let wrong = |c: &usize| !((f64::from(recorded[*c]) - right[*c]).abs() <= OFF * typical);
            let channels: Vec<usize> = (0..recorded.len()).filter(wrong).collect();
            let values = channels.iter().filter(|c| recorded[**c] != 0.0 && recorded[**c].is_finite());
            if values.count() < FEWEST || channels.len() == recorded.len() {
                return None;
            }
            off.push((p, recorded, channels));
        }
        let holds = |id: NodeId, back: u32| {
            let Ok(table) = case.traced().table(id) else { return false };
            off.iter().all(|(p, row, channels)| {
                let other = p.checked_sub(back).and_then(|p| table.row(p));
                other.is_some_and(|other| channels.iter().all(|&c| row[c].to_bits() == other[c].to_bits()))
            })
        };
        let named = |what: &str| {
            let (first, last) = off.iter().fold((usize::MAX, 0), |(a, b), (_, _, channels)| {
                (a.min(*channels.first().unwrap_or(&a)), b.max(*channels.last().unwrap_or(&b)))
            });
            let says =
                format!("values {first} to {last} were not written: they hold those of {what}, bit for bit");
            Some(Observation { mistake: None, says, left: 0.0 })
        };
        if off.is_empty() {
            return None;
        }
        if holds(case.target, 1) {
            return named("the position before");
        }
        let others = (0..graph.nodes.len()).map(|index| NodeId(index as u32));
        // What an operation leaves of its own input is another matter.
        let foreign = |id: &NodeId| *id != case.target && !case.node.inputs.contains(id);
        let mut alike = others.filter(|id| foreign(id) && graph.node(*id).width == case.node.width);
        let other = alike.find(|id| !graph.node(*id).op.grows() && holds(*id, 0))?;
        named(&graph.node(other).checkpoint?.to_string())
    }
}
