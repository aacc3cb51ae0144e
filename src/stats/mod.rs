//! Statistics of the values of one checkpoint over all positions, in one pass and in memory that does
//! not grow with their number.

mod histogram;
mod moments;
mod top;

pub use histogram::Histogram;
pub use moments::Moments;
pub use top::{Top, argmax};

/// Everything that is counted of one checkpoint's values.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Counts, extremes, sums.
    pub moments: Moments,
    /// Where values lie, for percentiles.
    pub histogram: Histogram,
}

impl Summary {
    /// Adds a row.
    pub fn add(&mut self, values: &[f32]) {
        self.moments.add(values);
        self.histogram.add(values);
    }

    /// Adds what another part of the work counted.
    pub fn merge(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        self.histogram.merge(&other.histogram);
    }
}
