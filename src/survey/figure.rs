//! Figures as a survey keeps them: medians with their worst case, and numbers that survive JSON.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::compare::metrics::{median, worse};

/// A number that is written to JSON as it is; NaN and infinities, which JSON has not, as strings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure(pub f64);

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.collect_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde_json's own numbers may be off by the last bit; a figure that is kept must not change.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let figure = text.get().trim_matches('"').parse();
        figure.map(Self).map_err(|e| D::Error::custom(format!("{e}: {}", text.get())))
    }
}

/// The middle and the largest of some figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The middle value, the lower of two.
    pub median: Figure,
    /// The largest; NaN if any is.
    pub worst: Figure,
    /// How many they are.
    pub of: u64,
}

impl Range {
    /// Of `values`; zeros if there are none.
    pub fn of(values: &[f64]) -> Self {
        Self {
            median: Figure(median(values.iter().copied())),
            worst: Figure(values.iter().copied().fold(0.0, worse)),
            of: values.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_cannot_say_comes_back_all_the_same() {
        for x in [0.0, 1.2538096068842033e-14, 1.5e-300, -2.0, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Figure(x)).unwrap();
            assert_eq!(serde_json::from_str::<Figure>(&text).unwrap(), Figure(x), "{text}");
        }
        let nan = serde_json::to_string(&Figure(f64::NAN)).unwrap();
        assert!(serde_json::from_str::<Figure>(&nan).unwrap().0.is_nan(), "{nan}");
        assert!(serde_json::from_str::<Figure>("\"much\"").is_err());
    }

    #[test]
    fn a_nan_is_the_worst_and_does_not_move_the_middle() {
        let range = Range::of(&[3.0, f64::NAN, 1.0, 2.0, 0.5]);
        assert_eq!(range.median.0, 2.0);
        assert!(range.worst.0.is_nan());
        assert_eq!(Range::of(&[]), Range::default());
    }
}
