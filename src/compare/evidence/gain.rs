//! One layer's operation adds more error than the same operation in every other layer.

use super::concentration::median;
use super::{Context, Entry, NodeStats, Test};
use crate::model::Checkpoint;

pub(super) struct Gain;

/// With this many other layers the pair itself says what is usual.
const LAYERS: usize = 3;
/// ln of how much more than usual is suspicious at least: 0.56 was seen in correct pairs (keys of a
/// trained model), with a spread that raises the limit for it.
const LEAST: f64 = 0.6;
/// ln of how much more than inputs and rounding explain it must be: behind a mistake, errors that are
/// merely passed on lower what is usual.
const EXPLAINED: f64 = 0.22;
/// Positions that it takes: the excess at one alone scatters, and ln 0.62 more than usual was seen in a
/// correct pair.
const POSITIONS: u32 = 4;
/// Deviations from the median, in units of the spread between the other layers.
const SPREADS: f64 = 8.0;

impl Test for Gain {
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry> {
        let own = stats.log_excess.filter(|_| stats.excess_n >= POSITIONS)?;
        let others: Vec<f64> = context
            .nodes
            .iter()
            .filter(|(c, s)| {
                c.site() == checkpoint.site() && **c != checkpoint && 2 * s.excess_n >= stats.excess_n
            })
            .filter_map(|(_, s)| s.log_excess)
            .collect();
        if others.len() < LAYERS {
            return None;
        }
        let usual = median(others.iter().copied());
        let spread = 1.4826 * median(others.iter().map(|x| (x - usual).abs()));
        let limit = (SPREADS * spread).max(LEAST);
        (own - usual > limit && own > EXPLAINED).then(|| Entry {
            checkpoint,
            strength: (own - usual) / limit,
            evidence: format!(
                "adds {:.1} times the error that its inputs and rounding explain, against {:.1} times in the other {} layers",
                own.exp(),
                usual.exp(),
                others.len()
            ),
        })
    }
}
