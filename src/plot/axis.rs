//! An axis: where a value lies, and which values are labelled.

use super::style::nice_step;

/// Values larger than this are drawn as if they were it; sums and differences of them stay finite.
const LARGEST: f64 = 1e300;
/// Values nearer to zero than this are drawn there; steps between larger ones are normal numbers.
const SMALLEST: f64 = 1e-280;
/// Decades that a logarithmic axis covers at most, counted from its upper end.
const MAX_DECADES: i32 = 60;

/// How values are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithm.
    Log,
}

/// An axis with round ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    scale: Scale,
    /// Ends; of a logarithmic axis their decimal logarithms.
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// An even axis around the finite ones of `values`, with about `ticks` labels.
    pub fn linear(values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let drawn = |v: f64| if v.abs() < SMALLEST { 0.0 } else { v.clamp(-LARGEST, LARGEST) };
        let (mut low, mut high) = range(values.filter(|v| v.is_finite()).map(drawn)).unwrap_or((0.0, 1.0));
        if low >= high {
            let pad = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
            (low, high) = (low - pad, high + pad);
        }
        let step = round_step((high - low) / ticks.max(1) as f64);
        Self {
            scale: Scale::Linear,
            low: (low / step + 1e-9).floor() * step,
            high: (high / step - 1e-9).ceil() * step,
            step,
        }
    }

    /// A logarithmic axis of whole decades around the positive, finite ones of `values`, with about
    /// `ticks` labels.
    pub fn log(values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let logs = values.filter(|v| *v > 0.0).map(f64::log10);
        let (low, high) = range(logs).unwrap_or((-1.0, 0.0));
        // Logarithms of powers of ten are off by some rounding.
        let high = (high - 1e-9).ceil() as i32;
        let low = ((low + 1e-9).floor() as i32).clamp(high - MAX_DECADES, high - 1);
        let step = nice_step(((high - low) as usize).div_ceil(ticks.max(1)).max(1));
        Self { scale: Scale::Log, low: low.into(), high: high.into(), step: step as f64 }
    }

    /// Either, by `scale`.
    pub fn new(scale: Scale, values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        match scale {
            Scale::Linear => Self::linear(values, ticks),
            Scale::Log => Self::log(values, ticks),
        }
    }

    /// Where a value lies, 0 (low end) to 1; none for NaN. What lies outside is at its end.
    pub fn share(&self, value: f64) -> Option<f64> {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Log if value <= 0.0 => f64::NEG_INFINITY,
            Scale::Log => value.log10(),
        };
        (!value.is_nan()).then(|| ((at - self.low) / (self.high - self.low)).clamp(0.0, 1.0))
    }

    /// [`Axis::share`] of a length in pixels.
    pub fn pixel(&self, value: f64, length: i32) -> Option<i32> {
        self.share(value).map(|share| (share * f64::from(length)).round() as i32)
    }

    /// The value at a share of the axis.
    pub fn value(&self, share: f64) -> f64 {
        let at = self.low + share * (self.high - self.low);
        if self.scale == Scale::Log { 10f64.powf(at) } else { at }
    }

    /// Decades of a logarithmic axis.
    pub fn decades(&self) -> i32 {
        (self.high - self.low) as i32
    }

    /// The labelled values, ascending.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Log => {
                let step = self.step as i32;
                let whole = self.low as i32..=self.high as i32;
                let marked: Vec<i32> = whole.clone().filter(|d| d.rem_euclid(step) == 0).collect();
                let all = if marked.len() < 2 { vec![*whole.start(), *whole.end()] } else { marked };
                all.into_iter().map(|d| (10f64.powi(d), decade(d))).collect()
            }
            Scale::Linear => {
                // Ends are multiples of the step: the count is small and exact but for rounding.
                let first = (self.low / self.step).round() as i64;
                let n = ((self.high - self.low) / self.step).round() as i64;
                (first..=first + n.min(100))
                    .map(|i| {
                        let value = i as f64 * self.step;
                        (value, plain(value, self.step))
                    })
                    .collect()
            }
        }
    }
}

/// The smallest and the largest finite value.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let decade = 10f64.powi(least.max(1e-300).log10().floor() as i32);
    [1.0, 2.0, 5.0, 10.0]
        .map(|f| f * decade)
        .into_iter()
        .find(|s| *s >= least * (1.0 - 1e-9))
        .unwrap_or(decade)
}

/// `0.01`, `1`, `1000`, `1e-6`.
fn decade(exponent: i32) -> String {
    match exponent {
        -3..=0 => format!("{:.*}", -exponent as usize, 10f64.powi(exponent)),
        1..=4 => format!("{:.0}", 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}

/// A multiple of `step` with as many digits as it needs.
fn plain(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = -step.log10().floor() as i32;
    if digits > 4 || value.abs() >= 1e5 {
        let significant = (value.abs().log10().floor() as i32 + digits).clamp(0, 6) as usize;
        return format!("{value:.significant$e}");
    }
    format!("{value:.*}", digits.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn labels_are_round() {
        assert_eq!(labels(Axis::linear([0.0, 0.73].into_iter(), 5)), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(
            labels(Axis::linear([-12.0, 31.0].into_iter(), 5)),
            ["-20", "-10", "0", "10", "20", "30", "40"]
        );
        assert_eq!(labels(Axis::linear([3.0].into_iter(), 3)), ["1", "2", "3", "4", "5"]);
        let odd = [f64::NAN, 1.0, f64::INFINITY, 3.0, f64::NEG_INFINITY];
        assert_eq!(labels(Axis::linear(odd.into_iter(), 2)), ["1", "2", "3"]);
        assert_eq!(labels(Axis::linear([0.0, 2e6].into_iter(), 2)), ["0", "1e6", "2e6"]);
        assert_eq!(labels(Axis::log([1e-6, 0.3].into_iter(), 4)), ["1e-6", "1e-4", "0.01", "1"]);
        assert_eq!(labels(Axis::log([1e-3, 1e-3].into_iter(), 4)), ["1e-4", "0.001"]);
        assert_eq!(Axis::log([0.0, -1.0, f64::NAN].into_iter(), 4).decades(), 1);
    }

    proptest! {
        #[test]
        fn every_value_has_a_place(values in prop::collection::vec(any::<f64>(), 0..6), ticks in 0usize..12) {
            for scale in [Scale::Linear, Scale::Log] {
                let axis = Axis::new(scale, values.iter().copied(), ticks);
                for v in &values {
                    let place = axis.share(*v);
                    prop_assert_eq!(place.is_none(), v.is_nan());
                    prop_assert!(place.is_none_or(|p| (0.0..=1.0).contains(&p)), "{v} {place:?}");
                }
                let ticks = axis.ticks();
                prop_assert!((2..=101).contains(&ticks.len()), "{axis:?} {ticks:?}");
                prop_assert!(ticks.iter().all(|t| t.1.len() < 24));
            }
        }
    }
}
