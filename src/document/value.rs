//! What stands in a table's cell.

use crate::compare::Severity;
use crate::figures;
use crate::text::safe;
use crate::wording::{self, Tone};

/// A value. Formats for people shorten figures as [`crate::wording`] does; JSON and CSV keep them
/// in full.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not there, or not applicable.
    Missing,
    /// Words.
    Text(String),
    /// How many, or which.
    Count(u64),
    /// A measured figure.
    Figure(f64),
    /// A share, 0 to 1.
    Percent(f64),
    /// A cosine: its distance from 1 is what counts.
    Cosine(f64),
    /// A multiple of the noise floor.
    Times(f32),
    /// Yes or no.
    Flag(bool),
    /// Any of these in a tone.
    Toned(Tone, Box<Value>),
}

impl Value {
    /// In a tone.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Self {
        Self::Toned(tone, Box::new(self))
    }

    /// A value that may be missing.
    pub fn or_missing(value: Option<impl Into<Self>>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }

    /// Its tone and itself without.
    pub(super) fn plain(&self) -> (Tone, &Self) {
        let (mut tone, mut value) = (Tone::Plain, self);
        while let Self::Toned(t, inner) = value {
            if tone == Tone::Plain {
                tone = *t;
            }
            value = inner;
        }
        (tone, value)
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self.plain().1, Self::Missing)
    }

    pub(super) fn is_number(&self) -> bool {
        !matches!(self.plain().1, Self::Missing | Self::Text(_) | Self::Flag(_))
    }

    /// For people: short, on one line, with nothing that controls a terminal.
    pub(super) fn shown(&self) -> String {
        match self.plain().1 {
            Self::Missing | Self::Toned(..) => "–".to_owned(),
            Self::Text(text) => safe(text).into_owned(),
            Self::Count(n) => n.to_string(),
            Self::Figure(x) => figures::figure(*x),
            Self::Percent(x) => figures::percent(*x),
            Self::Cosine(x) => figures::cosine(*x),
            Self::Times(x) => wording::times(Severity(*x)),
            Self::Flag(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        }
    }

    /// For programs, where they read text: in full, empty if missing.
    pub(super) fn exact(&self) -> String {
        match self.plain().1 {
            Self::Missing | Self::Toned(..) => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(n) => n.to_string(),
            Self::Figure(x) | Self::Percent(x) | Self::Cosine(x) => {
                exact(*x, x.to_string(), format!("{x:e}"))
            }
            Self::Times(x) => exact(f64::from(*x), x.to_string(), format!("{x:e}")),
            Self::Flag(yes) => yes.to_string(),
        }
    }

    /// For programs that read JSON. What is not finite becomes a string.
    pub(super) fn json(&self) -> serde_json::Value {
        match self.plain().1 {
            Self::Missing | Self::Toned(..) => serde_json::Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Count(n) => (*n).into(),
            Self::Figure(x) | Self::Percent(x) | Self::Cosine(x) => figures::number(*x),
            // The shortest digits that are this f32, not those of the f64 next to it.
            Self::Times(x) => figures::number(x.to_string().parse().unwrap_or(f64::from(*x))),
            Self::Flag(yes) => (*yes).into(),
        }
    }
}

/// The shorter way to write it without loss.
fn exact(x: f64, plain: String, scientific: String) -> String {
    let size = x.abs();
    if size == 0.0 || !size.is_finite() || (1e-5..1e16).contains(&size) { plain } else { scientific }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Count(n as u64)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Count(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Count(n.into())
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Self::Figure(x)
    }
}

impl From<Severity> for Value {
    /// Bad beyond noise.
    fn from(severity: Severity) -> Self {
        let value = Self::Times(severity.0);
        if severity.is_beyond_noise() { value.toned(Tone::Bad) } else { value }
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Flag(yes)
    }
}
