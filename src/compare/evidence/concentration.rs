//! One channel that is wrong at every position: a wrong row of a matrix, or one wrong weight.

use super::{Context, Entry, NodeStats, Test};
use crate::compare::lineage::Kind;
use crate::model::Checkpoint;

pub(super) struct Concentration;

/// How often a channel's error must exceed the median channel's. Rounding noise of n positions,
/// averaged, is a χ² with n degrees of freedom; of 1e9 channels the largest is this much above the
/// median: 6.4/0.67, 4.6/0.83, 3.8/0.89, 3.4/0.92 for n = 1 … 4 and 2.6 for n = 8. Doubled, because
/// the errors of an input are not independent of each other; correct pairs, with outlier channels and
/// heavy-tailed weights among them, showed at most 3.4 over 24 positions, and 20.6 at one alone.
fn threshold(n: u32) -> f64 {
    match n {
        0..=1 => 30.0,
        2 => 12.0,
        3 => 10.0,
        4..=7 => 8.0,
        _ => 6.0,
    }
}

/// How often the channel's error must exceed what is expected of the row: one value of a few hundred may
/// have four times the error of the rest.
const BEYOND_ROUNDING: f64 = 4.0;

/// Too few channels have no meaningful median.
const FEWEST: usize = 32;

struct Peak {
    channel: usize,
    /// Error of the worst channel over that of the median one.
    ratio: f64,
    /// Its relative error.
    error: f64,
}

/// Error by channel relative to the channel's own size, or to the median channel's where that is
/// larger: a channel that is nearly zero does not stand out by that alone.
fn peak(stats: &NodeStats) -> Option<Peak> {
    if stats.channel_dd.len() < FEWEST || stats.n == 0 {
        return None;
    }
    let typical = median(stats.channel_aa.iter().map(|&x| f64::from(x)));
    let relative = |j: usize| {
        let size = f64::from(stats.channel_aa[j]).max(typical);
        (f64::from(stats.channel_dd[j]) / size).sqrt()
    };
    let errors: Vec<f64> = (0..stats.channel_dd.len()).map(relative).collect();
    let middle = median(errors.iter().copied());
    let (channel, &error) = errors.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let floor = 1e-7;
    Some(Peak { channel, ratio: error / middle.max(floor), error })
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|x| !x.is_nan()).collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

impl Test for Concentration {
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry> {
        // Other operations have no row of weights to be wrong in, and tests of their own.
        // A mixture repeats the first position's values in all that follow, and their errors with them.
        if !matches!(context.lineage.kind(checkpoint), Kind::Product | Kind::Lookup) {
            return None;
        }
        let own = peak(stats)?;
        let limit = threshold(stats.n);
        // Where two runs are nearly bit-equal a single tie of f16 stands out: more than rounding it must be.
        let rounding = (BEYOND_ROUNDING * stats.expected).max(1e-5);
        if own.ratio < limit || own.error < rounding {
            return None;
        }
        for (_, input_stats) in context.inputs(checkpoint) {
            if let Some(before) = peak(input_stats) {
                // Present already, or concentrated enough to concentrate what is made of it.
                if before.ratio * 2.0 > own.ratio || before.ratio > limit {
                    return None;
                }
            }
        }
        Some(Entry {
            checkpoint,
            strength: own.ratio / limit,
            evidence: format!(
                "channel {} is off by {:.2e} of its size over {} position{}, {:.0} times the median channel; its inputs show no such channel",
                own.channel,
                own.error,
                stats.n,
                if stats.n == 1 { "" } else { "s" },
                own.ratio
            ),
        })
    }
}
