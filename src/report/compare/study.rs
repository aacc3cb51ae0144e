//! Differences of logits by position as the simplest of scripts computes them: positions that both
//! traces have, values that both have, paired one by one; the largest |a−b| and the mean.
//!
//! Text is read as f64, as a script would, so that six decimals of a large value are all there. Figures
//! are written as Python writes a float. A NaN on either side makes both figures of its row `nan`:
//! what a script's `max` gives depends on the order of the values then. Of repeated records the last
//! counts. The mean is a sum that loses nothing to rounding (Neumaier's, as Python's `sum` since 3.12)
//! over the count.

use std::io::{self, Write};

use super::{Format, Report};
use crate::model::Checkpoint;

pub(super) struct StudyCsv;

impl Format for StudyCsv {
    fn id(&self) -> &'static str {
        "study-csv"
    }

    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "token_idx,max_abs_diff,mean_abs_diff")?;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for position in report.reference.positions() {
            let read = |store: &crate::trace::Store, into: &mut Vec<f64>| {
                store.read_wide(position, Checkpoint::LOGITS, into).unwrap_or(false)
            };
            if !read(report.reference, &mut a) || !read(report.candidate, &mut b) {
                continue;
            }
            if let Some((max, mean)) = differences(&a, &b) {
                writeln!(out, "{position},{},{}", python(max), python(mean))?;
            }
        }
        Ok(())
    }
}

/// Largest and mean |a−b| over the common leading values; none of none.
fn differences(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let pairs = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let count = a.len().min(b.len());
    if count == 0 {
        return None;
    }
    if pairs().any(f64::is_nan) {
        return Some((f64::NAN, f64::NAN));
    }
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for x in pairs() {
        let next = sum + x;
        lost += if sum >= x { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    let sum = if lost.is_finite() { sum + lost } else { sum };
    Some((pairs().fold(0.0, f64::max), sum / count as f64))
}

/// A float as Python's `repr` writes it: the shortest digits that give it back, with an exponent below
/// 1e-4 and from 1e16 on.
fn python(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return (if x > 0.0 { "inf" } else { "-inf" }).to_owned();
    }
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (x, expected) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-4, "0.0001"),
            (0.000_012_345, "1.2345e-05"),
            (1e16, "1e+16"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1.000_000_000_123e18, "1.000000000123e+18"),
            (1e-300, "1e-300"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(python(x), expected);
        }
    }

    #[test]
    fn differences_over_what_both_have() {
        assert_eq!(differences(&[1.0, 2.0, 9.0], &[1.5, 4.0]), Some((2.0, 1.25)));
        assert_eq!(differences(&[], &[1.0]), None);
        assert!(differences(&[f64::NAN, 1.0], &[0.0, 0.0]).is_some_and(|(a, b)| a.is_nan() && b.is_nan()));
        // 1e16 and two ones: lost one by one when added as they come.
        assert_eq!(differences(&[1e16, 1.0, 1.0], &[0.0; 3]), Some((1e16, 10_000_000_000_000_002.0 / 3.0)));
    }
}
