//! Which channel is largest, row by row: of logits, the token that would be chosen.

use std::collections::HashMap;

/// Different channels whose rows are counted; more than this is the same as "all different".
const KEPT: usize = 1 << 16;

/// Largest channels of the rows of one checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Top {
    /// Rows that have a largest value.
    pub rows: u64,
    /// Rows whose largest channel is that of the row before.
    pub kept: u64,
    last: Option<u32>,
    counts: HashMap<u32, u64>,
}

impl Top {
    /// Adds the next row's largest channel, if it has one.
    pub fn add(&mut self, channel: Option<u32>) {
        let Some(channel) = channel else { return };
        self.rows += 1;
        self.kept += u64::from(self.last == Some(channel));
        self.last = Some(channel);
        if self.counts.len() < KEPT || self.counts.contains_key(&channel) {
            *self.counts.entry(channel).or_default() += 1;
        }
    }

    /// Different channels that were largest somewhere.
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The channel that was largest most often (the smallest such), and in how many rows.
    pub fn mode(&self) -> Option<(u32, u64)> {
        self.counts.iter().map(|(&c, &n)| (c, n)).max_by_key(|&(c, n)| (n, std::cmp::Reverse(c)))
    }

    /// Share of rows whose largest channel is that of the row before; `None` of fewer than two.
    pub fn stability(&self) -> Option<f64> {
        (self.rows > 1).then(|| self.kept as f64 / (self.rows - 1) as f64)
    }
}

/// The first of the largest channels; NaN is never the largest.
pub fn argmax(values: &[f32]) -> Option<u32> {
    let largest = values.iter().copied().filter(|x| !x.is_nan()).reduce(f32::max)?;
    values.iter().position(|&x| x == largest).map(|i| i as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_winners() {
        assert_eq!(argmax(&[f32::NAN, 1.0, 3.0, 3.0]), Some(2));
        assert_eq!(argmax(&[f32::NAN]), None);
        let mut top = Top::default();
        for channel in [7, 7, 3, 3, 3, 9] {
            top.add(Some(channel));
        }
        top.add(None);
        assert_eq!((top.rows, top.distinct(), top.mode()), (6, 3, Some((3, 3))));
        assert_eq!(top.stability(), Some(3.0 / 5.0));
    }
}
