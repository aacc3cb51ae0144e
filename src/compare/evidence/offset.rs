//! The same vector is added at every position: a missing or an extra bias.

use super::{Context, Entry, NodeStats, Test};
use crate::model::Checkpoint;

pub(super) struct Offset;

/// Fewer positions cannot tell a constant from chance.
const FEWEST: u32 = 4;

/// n·‖mean difference‖² / mean ‖difference‖²: 1 for independent errors, n for a constant.
fn constancy(stats: &NodeStats) -> Option<f64> {
    let squares: f64 = stats.channel_dd.iter().map(|&x| f64::from(x)).sum();
    let sums: f64 = stats.channel_d.iter().map(|&x| f64::from(x).powi(2)).sum();
    (squares > 0.0).then(|| sums / squares)
}

impl Test for Offset {
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry> {
        if stats.n < FEWEST || stats.channel_d.len() < 16 {
            return None;
        }
        let n = f64::from(stats.n);
        let own = constancy(stats)?;
        // Most of the error is one vector, and more than the inputs explain.
        let excess = stats.error() / stats.expected.max(1e-12);
        if own < 0.7 * n || excess < 2.0 {
            return None;
        }
        let before = context.inputs(checkpoint).iter().filter_map(|(_, s)| constancy(s)).fold(0.0, f64::max);
        (before < 0.5 * own).then(|| Entry {
            checkpoint,
            strength: excess / 2.0,
            evidence: format!(
                "the difference is nearly the same vector at all {} positions ({:.0} % of it), as a missing or extra bias makes it",
                stats.n,
                own / n * 100.0
            ),
        })
    }
}
