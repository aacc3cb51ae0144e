//! Infinities written as ±1e308.

use super::{Blame, Class, Finding, Sample};

pub(super) struct ClampedInfinity;

impl Class for ClampedInfinity {
    fn id(&self) -> &'static str {
        "clamped-infinity"
    }

    fn glyph(&self) -> char {
        'C'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "The text has finite numbers that no f32 holds, usually ±1e308: a logger that cannot write infinities \
         writes these. They are read as infinities. Such a logger usually writes NaN as 0, too, and then nobody \
         can tell a NaN from a zero: write \"NaN\" and \"Infinity\" as strings, or raw bytes to a sidecar."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        if sample.beyond_range == 0 {
            return None;
        }
        let count = sample.beyond_range;
        let of = sample.values().len();
        let mut finding = sample.finding(self, f32::is_infinite, |first, _| {
            (0.95, format!("{count} of {of} values are written as numbers beyond the range of f32 (±1e308), the first in channel {first}"))
        })?;
        finding.count = count;
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tensor;
    use super::super::{Sample, inspect};

    #[test]
    fn the_text_tells_an_infinity_from_what_stands_for_one() {
        let row = tensor(vec![1.0, f32::INFINITY, -2.0]);
        let at = "result_output".parse().unwrap();
        let found = |beyond_range| {
            inspect(&Sample { beyond_range, ..Sample::new(at, &row) })
                .iter()
                .map(|f| f.class)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(0), ["inf"]);
        assert_eq!(found(1), ["clamped-infinity", "inf"]);
    }
}
