//! Counts, extremes and sums.

/// Independent accumulators: enough to hide the latency of an addition.
const LANES: usize = 8;

/// Counts, extremes and sums of values; what is not finite is counted and otherwise left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Values, finite or not.
    pub count: u64,
    /// NaN among them.
    pub nan: u64,
    /// Infinities among them.
    pub infinite: u64,
    /// Smallest finite value; +∞ of none.
    pub min: f32,
    /// Largest finite value; −∞ of none.
    pub max: f32,
    sum: f64,
    squares: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            nan: 0,
            infinite: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            sum: 0.0,
            squares: 0.0,
        }
    }
}

impl Moments {
    /// Adds values.
    pub fn add(&mut self, values: &[f32]) {
        self.count += values.len() as u64;
        let (mut sum, mut squares) = ([0.0_f64; LANES], [0.0_f64; LANES]);
        let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let (chunks, rest) = values.as_chunks::<LANES>();
        let mut step = |lane: usize, x: f32| {
            let wide = f64::from(x);
            sum[lane] += wide;
            squares[lane] += wide * wide;
            min[lane] = min[lane].min(x);
            max[lane] = max[lane].max(x);
        };
        for chunk in chunks {
            for (lane, &x) in chunk.iter().enumerate() {
                step(lane, x);
            }
        }
        for (lane, &x) in rest.iter().enumerate() {
            step(lane, x);
        }
        let (sum, squares) = (sum.iter().sum::<f64>(), squares.iter().sum::<f64>());
        // The square of the largest f32 fits f64 with room to spare, so this is not finite only where a
        // value is not.
        if squares.is_finite() {
            self.sum += sum;
            self.squares += squares;
            self.min = min.into_iter().fold(self.min, f32::min);
            self.max = max.into_iter().fold(self.max, f32::max);
            return;
        }
        for &x in values {
            if x.is_finite() {
                self.sum += f64::from(x);
                self.squares += f64::from(x) * f64::from(x);
                self.min = self.min.min(x);
                self.max = self.max.max(x);
            } else if x.is_nan() {
                self.nan += 1;
            } else {
                self.infinite += 1;
            }
        }
    }

    /// Adds what another part of the work counted.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Finite values.
    pub fn finite(&self) -> u64 {
        self.count - self.nan - self.infinite
    }

    /// Arithmetic mean of the finite values; `None` of none.
    pub fn mean(&self) -> Option<f64> {
        (self.finite() > 0).then(|| self.sum / self.finite() as f64)
    }

    /// Root of the mean square of the finite values.
    pub fn rms(&self) -> Option<f64> {
        (self.finite() > 0).then(|| (self.squares / self.finite() as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_row_with_everything_in_it() {
        let mut row: Vec<f32> = (1..=21).map(|i| i as f32).collect();
        let mut m = Moments::default();
        m.add(&row);
        assert_eq!((m.min, m.max, m.mean()), (1.0, 21.0, Some(11.0)));
        // Σi² = n(n+1)(2n+1)/6.
        assert_eq!(m.rms(), Some((21.0_f64 * 22.0 * 43.0 / 6.0 / 21.0).sqrt()));
        row.splice(3..3, [f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let mut n = Moments::default();
        n.add(&row);
        assert_eq!((n.count, n.nan, n.infinite, n.finite()), (24, 1, 2, 21));
        assert_eq!((n.min, n.max, n.mean(), n.rms()), (m.min, m.max, m.mean(), m.rms()));
        let mut parts = Moments::default();
        for part in row.chunks(5) {
            let mut p = Moments::default();
            p.add(part);
            parts.merge(&p);
        }
        assert_eq!(parts, n, "sums of small whole numbers are exact in any order");
        assert_eq!(Moments::default().mean(), None);
    }
}
