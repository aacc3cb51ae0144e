//! Evidence that an error enters at a node although it is below the noise floor: patterns that
//! rounding does not make. One kind a file; adding one means a file and a line in [`TESTS`].
//!
//! The noise of a pair of correct runs is spread: over channels, over directions and over layers
//! alike. A mistake is not. Each test compares a node with what the same pair shows elsewhere, so
//! none needs a table, and each is far enough from chance that thousands of nodes and hundreds of
//! thousands of channels raise none.

mod concentration;
mod gain;
mod norm_weight;
mod offset;
mod precision;
mod scale;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lineage::Lineage;
use super::metrics::Sums;
use crate::model::Checkpoint;

/// What is known of one checkpoint over all positions: memory by channels, not by positions. A copy shares
/// the sums by channel until one of both is added to.
#[derive(Clone, Debug, Default)]
pub struct NodeStats {
    /// Positions.
    pub n: u32,
    /// Σa² over positions and channels.
    pub aa: f64,
    /// Σa(b−a).
    pub ad: f64,
    /// Σ(a−b)².
    pub dd: f64,
    /// Σ over positions of Σ(a−b)²/Σa²: every position weighs the same.
    pub relative: f64,
    /// Σ(a−b)² by channel, each position divided by its Σa².
    pub channel_dd: Arc<Vec<f32>>,
    /// Σa² by channel, each position divided by its Σa².
    pub channel_aa: Arc<Vec<f32>>,
    /// Σ(b−a) by channel, each position divided by its √Σa².
    pub channel_d: Arc<Vec<f32>>,
    /// Mean over positions of ln(error / expected error), set by the evaluation.
    pub log_excess: Option<f64>,
    /// Positions behind it.
    pub excess_n: u32,
    /// Root mean square over positions of the expected error.
    pub expected: f64,
}

impl NodeStats {
    /// Adds one position. `channels` is false where channels mean something else at every position.
    pub fn add(&mut self, a: &[f32], b: &[f32], sums: &Sums, channels: bool) {
        if sums.unmatched > 0 || sums.aa == 0.0 || !sums.dd.is_finite() {
            return;
        }
        self.n += 1;
        self.aa += sums.aa;
        self.ad += sums.ab - sums.aa;
        self.dd += sums.dd;
        self.relative += sums.dd / sums.aa;
        let len = a.len().min(b.len());
        if !channels || (self.n > 1 && self.channel_dd.len() != len) {
            return;
        }
        let Self { channel_dd, channel_aa, channel_d, .. } = self;
        let channels = [channel_dd, channel_aa, channel_d].map(|channel| {
            let channel = Arc::make_mut(channel);
            channel.resize(len, 0.0);
            channel.as_mut_slice()
        });
        accumulate(channels, a, b, (1.0 / sums.aa) as f32, (1.0 / sums.aa.sqrt()) as f32);
    }

    /// Takes over what the evaluation has set in a copy.
    pub(super) fn take_excess(&mut self, of: &Self) {
        (self.log_excess, self.excess_n, self.expected) = (of.log_excess, of.excess_n, of.expected);
    }

    /// Root mean square over positions of the relative error.
    pub fn error(&self) -> f64 {
        (self.relative / f64::from(self.n.max(1))).sqrt()
    }
}

#[inline(always)]
fn accumulate_body(channels: [&mut [f32]; 3], a: &[f32], b: &[f32], weight: f32, root: f32) {
    let [dd, aa, d] = channels;
    let sums = dd.iter_mut().zip(aa).zip(d);
    for (((dd, aa), d), (&x, &y)) in sums.zip(a.iter().zip(b)) {
        let delta = y - x;
        *dd += delta * delta * weight;
        *aa += x * x * weight;
        *d += delta * root;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn accumulate_avx2(channels: [&mut [f32]; 3], a: &[f32], b: &[f32], weight: f32, root: f32) {
    accumulate_body(channels, a, b, weight, root);
}

fn accumulate(channels: [&mut [f32]; 3], a: &[f32], b: &[f32], weight: f32, root: f32) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        return unsafe { accumulate_avx2(channels, a, b, weight, root) };
    }
    accumulate_body(channels, a, b, weight, root);
}

/// What the tests see.
pub struct Context<'a> {
    /// All nodes.
    pub nodes: &'a BTreeMap<Checkpoint, NodeStats>,
    /// Who is computed from what.
    pub lineage: &'a Lineage,
}

impl Context<'_> {
    /// The recorded inputs of a node, with their statistics; unrecorded ones are replaced by their
    /// own inputs.
    pub fn inputs(&self, checkpoint: Checkpoint) -> Vec<(Checkpoint, &NodeStats)> {
        let mut open: Vec<Checkpoint> =
            self.lineage.parents(checkpoint).iter().map(|i| i.checkpoint).collect();
        let mut out: Vec<(Checkpoint, &NodeStats)> = Vec::new();
        let mut steps = 0;
        while let Some(next) = open.pop() {
            steps += 1;
            if let Some(stats) = self.nodes.get(&next) {
                if out.iter().all(|(c, _)| *c != next) {
                    out.push((next, stats));
                }
            } else if steps < 100 {
                open.extend(self.lineage.parents(next).iter().map(|i| i.checkpoint));
            }
        }
        out
    }
}

/// An error enters here.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The node.
    pub checkpoint: Checkpoint,
    /// How many times the test's threshold is exceeded; above 1.
    pub strength: f64,
    /// A sentence with the figures.
    pub evidence: String,
}

/// One kind of evidence.
pub trait Test: Sync {
    /// What the node shows, if it does.
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry>;
}

/// Every kind.
pub static TESTS: &[&dyn Test] = &[
    &concentration::Concentration,
    &norm_weight::NormWeight,
    &scale::Scale,
    &offset::Offset,
    &gain::Gain,
    &precision::Precision,
];

/// Every node with evidence, in order of execution; what is merely passed on is left out.
pub fn entries<'a>(context: &'a Context<'a>) -> impl Iterator<Item = Entry> + 'a {
    context.nodes.iter().filter_map(move |(&checkpoint, stats)| {
        TESTS
            .iter()
            .filter_map(|test| test.check(checkpoint, stats, context))
            .max_by(|a, b| a.strength.total_cmp(&b.strength))
    })
}
