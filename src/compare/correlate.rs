//! Do two runs follow each other? Asked of the values where tokens are not recorded.
//!
//! Rows of logits of one model resemble each other whatever the prompt (common tokens are likely
//! everywhere), so each channel's mean over its run is taken off first: what is left is what a
//! position has of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::Checkpoint;

/// Fewer common positions than this prove nothing.
pub const MIN_POSITIONS: usize = 4;
/// Channels kept of a row.
const CHANNELS: usize = 64;
/// The first ones are kept as they are: loggers that keep few values keep these.
const LEADING: usize = 16;
/// Positions kept.
const POSITIONS: usize = 2048;

/// Rows of one side by position.
type Rows = BTreeMap<u32, Vec<f32>>;

/// A few channels of each position's row of the deepest checkpoint, for both sides.
#[derive(Debug, Default)]
pub struct Fingerprints {
    rows: HashMap<Checkpoint, [Rows; 2]>,
    /// Leading channels that hold garbage in many rows of a side, one bit each.
    spoilt: HashMap<Checkpoint, u64>,
}

/// Agreement at one offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// −1 to 1.
    pub r: f64,
    /// The candidate's position minus the reference's.
    pub offset: i64,
    /// Positions behind it.
    pub positions: usize,
    /// Of which checkpoint.
    pub checkpoint: Checkpoint,
}

impl Fingerprints {
    /// Keeps a row. `full` is how many values its shape promises; channels in `ignored` hold garbage.
    pub fn insert(
        &mut self,
        side: usize,
        checkpoint: Checkpoint,
        position: u32,
        full: usize,
        row: &[f32],
        ignored: &[std::ops::Range<u32>],
    ) {
        let sides = self.rows.entry(checkpoint).or_default();
        if sides[side].len() >= POSITIONS {
            return;
        }
        let stride = (full.saturating_sub(LEADING) / (CHANNELS - LEADING)).max(1);
        let kept = (0..CHANNELS).map(|i| {
            let channel = if i < LEADING { i } else { LEADING + (i - LEADING) * stride };
            let garbage = ignored.iter().any(|r| r.contains(&(channel as u32)));
            // What no engine computes would drown the rest.
            let honest = |x: &f32| !garbage && x.abs() < 1e9 && !x.is_subnormal();
            row.get(channel).copied().filter(honest).unwrap_or(f32::NAN)
        });
        sides[side].insert(position, kept.collect());
    }

    /// Leaves leading channels of a checkpoint out from now on, on both sides.
    pub fn ignore(&mut self, checkpoint: Checkpoint, channels: std::ops::Range<u32>) {
        let bits = channels.filter(|&c| c < LEADING as u32).fold(0, |bits, c| bits | 1 << c);
        *self.spoilt.entry(checkpoint).or_default() |= bits;
    }

    fn spoilt(&self, checkpoint: Checkpoint) -> u64 {
        self.spoilt.get(&checkpoint).copied().unwrap_or(0)
    }

    /// Forgets a position.
    pub fn remove(&mut self, position: u32) {
        for side in self.rows.values_mut().flatten() {
            side.remove(&position);
        }
    }

    fn deepest(&self) -> Option<(Checkpoint, &[Rows; 2])> {
        let shared = |s: &[Rows; 2]| !s[0].is_empty() && !s[1].is_empty();
        self.rows.iter().filter(|(_, s)| shared(s)).max_by_key(|(c, _)| **c).map(|(c, s)| (*c, s))
    }

    /// Positions that both sides have.
    pub fn common(&self) -> usize {
        self.deepest().map_or(0, |(_, s)| s[0].keys().filter(|p| s[1].contains_key(p)).count())
    }

    /// Agreement with the candidate moved by `offset`; `None` if too little is there.
    pub fn correlation(&self, offset: i64) -> Option<Correlation> {
        let (checkpoint, sides) = self.deepest()?;
        let means = [mean(&sides[0]), mean(&sides[1])];
        correlation(checkpoint, sides, &means, offset, self.spoilt(checkpoint))
    }

    /// The best offset other than 0.
    pub fn best_shift(&self) -> Option<Correlation> {
        self.shifts().into_iter().max_by(|a, b| a.r.total_cmp(&b.r))
    }

    /// Agreement at every offset other than 0 that leaves enough in common.
    fn shifts(&self) -> Vec<Correlation> {
        let Some((checkpoint, sides)) = self.deepest() else { return Vec::new() };
        let means = [mean(&sides[0]), mean(&sides[1])];
        let first = |s: &Rows| s.keys().next().map_or(0, |&p| i64::from(p));
        let last = |s: &Rows| s.keys().next_back().map_or(0, |&p| i64::from(p));
        let shorter = sides[0].len().min(sides[1].len());
        let offsets: BTreeSet<i64> = ((first(&sides[1]) - last(&sides[0]))
            ..=(last(&sides[1]) - first(&sides[0])))
            .take(4 * POSITIONS)
            .collect();
        offsets
            .into_iter()
            .filter(|&k| k != 0)
            .filter_map(|k| correlation(checkpoint, sides, &means, k, self.spoilt(checkpoint)))
            // A short overlap agrees by chance.
            .filter(|c| c.positions * 3 >= shorter)
            .collect()
    }

    /// How far correlations of rows that have nothing to do with each other lie from zero: the root mean
    /// square of Fisher's z over all offsets but 0 and `best`. `None` of too few offsets.
    pub fn chance(&self, best: i64) -> Option<f64> {
        let all = self.shifts();
        let others = all.iter().filter(|c| c.offset != best).map(|c| fisher(c.r));
        let (n, squares) = others.fold((0, 0.0), |(n, sum), z| (n + 1, sum + z * z));
        (n >= 5).then(|| (squares / f64::from(n)).sqrt())
    }

    /// Whether the rows are so near each other that nothing but the same input explains it.
    pub fn nearly_equal(&self) -> bool {
        let Some((checkpoint, sides)) = self.deepest() else { return false };
        let spoilt = self.spoilt(checkpoint);
        let (mut dd, mut aa) = (0.0, 0.0);
        for (p, a) in &sides[0] {
            let Some(b) = sides[1].get(p) else { continue };
            let both =
                a.iter().zip(b).enumerate().filter(|(i, _)| spoilt >> i & 1 == 0).map(|(_, pair)| pair);
            for (&x, &y) in both.filter(|(x, y)| x.is_finite() && y.is_finite()) {
                dd += f64::from(x - y).powi(2);
                aa += f64::from(x).powi(2);
            }
        }
        aa > 0.0 && dd <= 0.01 * aa
    }
}

/// Fisher's z of a correlation, which is nearly normal.
pub fn fisher(r: f64) -> f64 {
    // Equal rows have no z; what is this near to one is sure anyhow.
    r.clamp(-0.999_999, 0.999_999).atanh()
}

fn mean(rows: &Rows) -> Vec<f64> {
    let mut sums = [0.0; CHANNELS];
    let mut counts = [0_u32; CHANNELS];
    for row in rows.values() {
        for (i, x) in row.iter().enumerate().filter(|(_, x)| x.is_finite()) {
            sums[i] += f64::from(*x);
            counts[i] += 1;
        }
    }
    sums.iter().zip(counts).map(|(s, n)| s / f64::from(n.max(1))).collect()
}

fn correlation(
    checkpoint: Checkpoint,
    sides: &[Rows; 2],
    means: &[Vec<f64>; 2],
    offset: i64,
    spoilt: u64,
) -> Option<Correlation> {
    let (mut xy, mut xx, mut yy, mut positions, mut values) = (0.0, 0.0, 0.0, 0, 0);
    for (&p, a) in &sides[0] {
        let Some(b) = u32::try_from(i64::from(p) + offset).ok().and_then(|p| sides[1].get(&p)) else {
            continue;
        };
        positions += 1;
        for i in 0..CHANNELS {
            if spoilt >> i & 1 == 0 && a[i].is_finite() && b[i].is_finite() {
                let (x, y) = (f64::from(a[i]) - means[0][i], f64::from(b[i]) - means[1][i]);
                xy += x * y;
                xx += x * x;
                yy += y * y;
                values += 1;
            }
        }
    }
    if positions < MIN_POSITIONS || values < 16 || xx <= 0.0 || yy <= 0.0 {
        return None;
    }
    Some(Correlation { r: xy / (xx * yy).sqrt(), offset, positions, checkpoint })
}
