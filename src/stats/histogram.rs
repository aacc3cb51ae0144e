//! Where values lie: counts by sign, power of two and 64 steps within it, so that any percentile is
//! known to within 0.8 % of its value, whatever the scale.

/// Mantissa bits that tell buckets apart.
const STEPS: u32 = 6;
/// Buckets of one sign and power of two.
const PAGE: usize = 1 << STEPS;

/// Counts of values by size. Pages are made when a value falls into them: a checkpoint's values
/// rarely span more than forty powers of two.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    pages: Vec<Option<Box<[u64; PAGE]>>>,
    count: u64,
}

/// Order of f32 as whole numbers: larger values, larger keys.
fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

impl Histogram {
    /// Adds values; what is not finite is left out.
    pub fn add(&mut self, values: &[f32]) {
        if self.pages.is_empty() {
            self.pages.resize(512, None);
        }
        for &value in values {
            if !value.is_finite() {
                continue;
            }
            let bucket = (key(value) >> (23 - STEPS)) as usize;
            let page = self.pages[bucket >> STEPS].get_or_insert_with(|| Box::new([0; PAGE]));
            page[bucket & (PAGE - 1)] += 1;
            self.count += 1;
        }
    }

    /// Adds what another part of the work counted.
    pub fn merge(&mut self, other: &Self) {
        if self.pages.is_empty() {
            self.pages.resize(512, None);
        }
        for (own, other) in self.pages.iter_mut().zip(&other.pages) {
            let Some(other) = other else { continue };
            let own = own.get_or_insert_with(|| Box::new([0; PAGE]));
            own.iter_mut().zip(other.iter()).for_each(|(a, b)| *a += b);
        }
        self.count += other.count;
    }

    /// The value below which the share `q` (0 to 1) of all lies; `None` of none.
    pub fn quantile(&self, q: f64) -> Option<f32> {
        let rank = (q * (self.count.checked_sub(1)?) as f64).round() as u64;
        let mut seen = 0;
        for (page, counts) in self.pages.iter().enumerate() {
            for (step, n) in counts.iter().flat_map(|c| c.iter()).enumerate() {
                seen += n;
                if seen > rank {
                    let from = ((page << STEPS | step) as u32) << (23 - STEPS);
                    return Some(middle(from));
                }
            }
        }
        None
    }
}

/// The middle of the bucket that begins at the key `from`; zero where zeros are.
fn middle(from: u32) -> f32 {
    let width = 1_u32 << (23 - STEPS);
    let value = |key: u32| f32::from_bits(if key >> 31 == 1 { key & 0x7fff_ffff } else { !key });
    let (low, high) = (value(from), value(from + (width - 1)));
    // The buckets beside zero hold what is smaller than the smallest normal value.
    if low == 0.0 || high == 0.0 { 0.0 } else { low + (high - low) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    #[test]
    fn quantiles_are_those_of_a_sort_to_within_a_bucket() {
        let mut noise = Noise::new(6);
        for scale in [1e-20, 1.0, 3e8] {
            let mut row: Vec<f32> = (0..10_001).map(|_| noise.normal().powi(3) * scale).collect();
            row.extend([0.0; 100]);
            let mut histogram = Histogram::default();
            histogram.add(&row[..4000]);
            let mut other = Histogram::default();
            other.add(&row[4000..]);
            other.add(&[f32::NAN, f32::INFINITY]);
            histogram.merge(&other);
            row.sort_by(f32::total_cmp);
            for q in [0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0] {
                let exact = row[(q * (row.len() - 1) as f64).round() as usize];
                let found = histogram.quantile(q).unwrap();
                // Half a bucket of 1/64 of a power of two.
                assert!((found - exact).abs() <= exact.abs() / 128.0, "{q}: {found} {exact}");
            }
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
