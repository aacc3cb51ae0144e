//! A norm multiplies each channel by a weight, so each channel's relative error comes out as it
//! went in. Where one comes out larger, that weight is wrong. Holds for RMS norms whatever the
//! weights, the model and the noise of the pair are.

use super::{Context, Entry, NodeStats, Test};
use crate::compare::lineage::Kind;
use crate::model::{Checkpoint, Site};

pub(super) struct NormWeight;

/// Energy of a channel's relative error after over before. Positions are weighted a little
/// differently on both sides, and the common factor's own error is allowed for in full.
const LIMIT: f64 = 8.0;
/// Rounding in f32, squared, with room.
const ROUNDING: f64 = 1e-11;

impl Test for NormWeight {
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry> {
        // A LayerNorm takes the mean off and adds a bias: nothing is kept by channel.
        let layer_norm = context.lineage.has_site(Site::InpL);
        if context.lineage.kind(checkpoint) != Kind::Norm || layer_norm {
            return None;
        }
        let parents = context.lineage.parents(checkpoint);
        let [input] = &*parents else { return None };
        let before = context.nodes.get(&input.checkpoint)?;
        let width = stats.channel_dd.len();
        if before.n != stats.n || before.channel_dd.len() != width || width == 0 || stats.n == 0 {
            return None;
        }
        let relative = |s: &NodeStats, j: usize| f64::from(s.channel_dd[j]) / f64::from(s.channel_aa[j]);
        let common = before.relative / f64::from(before.n);
        let ratio = |j: usize| relative(stats, j) / (LIMIT * (relative(before, j) + common) + ROUNDING);
        let (channel, strength) = (0..width)
            .map(|j| (j, ratio(j)))
            .filter(|(_, r)| r.is_finite())
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        (strength > 1.0).then(|| Entry {
            checkpoint,
            strength: strength.sqrt(),
            evidence: format!(
                "channel {channel} comes out {:.2e} off, {:.2e} as it went in; a norm changes no channel's relative error",
                relative(stats, channel).sqrt(),
                relative(before, channel).sqrt()
            ),
        })
    }
}
