//! The output is a constant multiple of what it should be: a scaled tensor or a wrong factor.

use super::{Context, Entry, NodeStats, Test};
use crate::model::Checkpoint;

pub(super) struct Scale;

/// Share of the error's energy that a common factor explains. Rounding points in any direction: of
/// n values it explains about 1/n.
const SHARE: f64 = 0.5;
/// Fewer values may point anywhere.
const FEWEST: f64 = 256.0;

/// Slope − 1 of the candidate over the reference, and the share of the error it explains.
fn slope(stats: &NodeStats) -> Option<(f64, f64)> {
    if stats.aa <= 0.0 || stats.dd <= 0.0 {
        return None;
    }
    let slope = stats.ad / stats.aa;
    Some((slope, slope * slope * stats.aa / stats.dd))
}

impl Test for Scale {
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry> {
        let (own, share) = slope(stats)?;
        let values = f64::from(stats.n) * stats.channel_dd.len() as f64;
        if share < SHARE || values < FEWEST || stats.n < 2 || own.abs() < 1e-5 {
            return None;
        }
        let inputs = context.inputs(checkpoint);
        let passed_on =
            inputs.iter().filter_map(|(_, s)| slope(s)).map(|(slope, _)| slope.abs()).fold(0.0, f64::max);
        let expected = stats.expected;
        // Truncating instead of rounding shrinks everything by a common factor of its own size.
        let limit = (4.0 * passed_on).max(0.75 * expected).max(2e-6);
        (own.abs() > limit).then(|| Entry {
            checkpoint,
            strength: own.abs() / limit,
            evidence: format!(
                "the candidate is {:.4} times the reference, which explains {:.0} % of the difference; its inputs are not scaled",
                1.0 + own,
                share * 100.0
            ),
        })
    }
}
