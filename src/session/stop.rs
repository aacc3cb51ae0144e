//! Where a run pauses by itself: conditions, as a user writes them.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use crate::compare::{CellMetrics, CellState, Column, Severity, Verdict};
use crate::figures;
use crate::garbage::{self, Blame, CLASSES, Finding};
use crate::model::Checkpoint;
use crate::text::safe_short;
use crate::wording;

/// A condition on one position that both sides have computed. A run pauses at the first position,
/// in order, where it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// This position is computed.
    Position(u32),
    /// The verdict has become that the runs part, whether here or at an earlier position.
    Divergence,
    /// Some cell is this many times as far apart as noise explains, or more. NaN counts as more.
    Severity(f32),
    /// A value of either side is NaN or infinite.
    NonFinite,
    /// Values of either side are garbage of the class with this id; of any class, if none is named,
    /// that is blamed on somebody.
    Garbage(Option<String>),
    /// The most likely tokens of both sides differ.
    ArgmaxDiffers,
    /// The text of the position's token matches, on either side.
    Token(TokenPattern),
}

/// Every form that [`Stop`] is written in, and what it means: for help, completion and errors.
pub const STOPS: &[(&str, &str)] = &[
    ("position N", "position N is computed"),
    ("divergence", "the verdict has become that the runs part"),
    ("severity N", "a cell differs by N times the noise or more"),
    ("nonfinite", "a value of either side is NaN or infinite"),
    ("garbage [CLASS]", "garbage of this class, or of any, on either side"),
    ("argmax", "the most likely tokens differ"),
    ("token REGEX", "the token's text matches"),
];

/// A regular expression over tokens' texts.
#[derive(Clone, Debug)]
pub struct TokenPattern {
    source: String,
    regex: Regex,
}

impl TokenPattern {
    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches anywhere in `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for TokenPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl FromStr for TokenPattern {
    type Err = StopError;

    fn from_str(source: &str) -> Result<Self, StopError> {
        let regex = Regex::new(source).map_err(|error| {
            // The library draws the expression with a caret under it; its last line says what is wrong.
            let text = error.to_string();
            let problem = text.lines().last().unwrap_or_default();
            let problem = problem.strip_prefix("error: ").unwrap_or(problem);
            StopError::Pattern { pattern: safe_short(source, 60), problem: safe_short(problem, 120) }
        })?;
        Ok(Self { source: source.to_owned(), regex })
    }
}

/// A text that is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// The first word is none of the known ones.
    #[error("`{0}` is no condition; there are: {forms}", forms = forms())]
    Unknown(String),
    /// The position is no number.
    #[error("`{0}` is no position; expected `position N`, N a whole number from 0")]
    Position(String),
    /// The severity is no number, or none that a cell can exceed.
    #[error("`{0}` is no severity; expected `severity N`, N times the noise, above 0")]
    Severity(String),
    /// No class of garbage is called so.
    #[error("no class of garbage is called `{0}`; there are: {classes}", classes = classes())]
    Class(String),
    /// The expression cannot be compiled.
    #[error("`{pattern}` is no regular expression: {problem}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something is missing behind the word.
    #[error("`{word}` of what? Expected `{form}`")]
    Missing {
        /// The word.
        word: &'static str,
        /// What it is written like.
        form: &'static str,
    },
    /// Something stands behind a word that takes nothing.
    #[error("`{word}` stands alone; `{rest}` is too much")]
    TooMuch {
        /// The word.
        word: &'static str,
        /// What follows it.
        rest: String,
    },
}

fn forms() -> String {
    STOPS.iter().map(|(form, _)| *form).collect::<Vec<_>>().join(", ")
}

fn classes() -> String {
    CLASSES.iter().map(|class| class.id()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Stop {
    type Err = StopError;

    fn from_str(text: &str) -> Result<Self, StopError> {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let alone = |word: &'static str, stop: Self| match rest {
            "" => Ok(stop),
            rest => Err(StopError::TooMuch { word, rest: safe_short(rest, 40) }),
        };
        let missing = |word: &'static str| {
            let form = STOPS.iter().map(|(form, _)| *form).find(|form| form.starts_with(word));
            Err(StopError::Missing { word, form: form.unwrap_or_default() })
        };
        match word {
            "position" if rest.is_empty() => missing("position"),
            "position" => match rest.parse() {
                Ok(position) => Ok(Self::Position(position)),
                Err(_) => Err(StopError::Position(safe_short(rest, 40))),
            },
            "divergence" => alone("divergence", Self::Divergence),
            "severity" if rest.is_empty() => missing("severity"),
            "severity" => match rest.parse::<f32>() {
                Ok(severity) if severity > 0.0 && severity.is_finite() => Ok(Self::Severity(severity)),
                _ => Err(StopError::Severity(safe_short(rest, 40))),
            },
            "nonfinite" => alone("nonfinite", Self::NonFinite),
            "garbage" if rest.is_empty() => Ok(Self::Garbage(None)),
            "garbage" => match garbage::class(rest) {
                Some(class) => Ok(Self::Garbage(Some(class.id().to_owned()))),
                None => Err(StopError::Class(safe_short(rest, 40))),
            },
            "argmax" => alone("argmax", Self::ArgmaxDiffers),
            "token" if rest.is_empty() => missing("token"),
            "token" => rest.parse().map(Self::Token),
            _ => Err(StopError::Unknown(safe_short(word, 40))),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => write!(f, "position {position}"),
            Self::Divergence => f.write_str("divergence"),
            Self::Severity(severity) => write!(f, "severity {severity}"),
            Self::NonFinite => f.write_str("nonfinite"),
            Self::Garbage(None) => f.write_str("garbage"),
            Self::Garbage(Some(class)) => write!(f, "garbage {class}"),
            Self::ArgmaxDiffers => f.write_str("argmax"),
            Self::Token(pattern) => write!(f, "token {}", safe_short(pattern.source(), 200)),
        }
    }
}

/// A position that both sides are done with, as conditions see it.
pub(super) struct Seen<'a> {
    /// What was compared.
    pub column: &'a Column,
    /// The verdict so far.
    pub verdict: &'a Verdict,
    /// Whether the verdict was before this position that the runs part.
    pub parted: bool,
    /// Texts of the token, on either side.
    pub texts: [Option<String>; 2],
}

impl Seen<'_> {
    fn compared(&self) -> impl Iterator<Item = (Checkpoint, CellMetrics, Severity)> + '_ {
        self.column.cells.iter().filter_map(|cell| match cell.state {
            CellState::Compared { metrics, severity, .. } => Some((cell.checkpoint, metrics, severity)),
            _ => None,
        })
    }

    /// The first finding that is wanted, and whose it is.
    fn finding(&self, wanted: impl Fn(&Finding) -> bool) -> Option<(&'static str, &Finding)> {
        let first = |side, findings: &'_ [Finding]| findings.iter().position(&wanted).map(|at| (side, at));
        let Column { garbage_reference: a, garbage_candidate: b, .. } = self.column;
        first("reference", a)
            .map(|(side, at)| (side, &a[at]))
            .or_else(|| first("candidate", b).map(|(side, at)| (side, &b[at])))
    }
}

impl Stop {
    /// In words, if it holds at this position.
    pub(super) fn holds(&self, seen: &Seen<'_>) -> Option<String> {
        match self {
            Self::Position(wanted) => {
                (seen.column.position == *wanted).then(|| format!("position {wanted} is computed"))
            }
            Self::Divergence => divergence(seen),
            Self::Severity(limit) => severity(seen, *limit),
            Self::NonFinite => nonfinite(seen),
            Self::Garbage(class) => garbage(seen, class.as_deref()),
            Self::ArgmaxDiffers => seen
                .column
                .logits
                .is_some_and(|logits| !logits.top1_agrees)
                .then(|| "the most likely tokens differ".to_owned()),
            Self::Token(pattern) => token(seen, pattern),
        }
    }
}

fn divergence(seen: &Seen<'_>) -> Option<String> {
    match seen.verdict {
        Verdict::Diverged { first, .. } if !seen.parted && first.position <= seen.column.position => {
            let place = wording::place(first.position, first.checkpoint);
            Some(format!("the runs part: {place}, {} the noise", wording::times(first.severity)))
        }
        _ => None,
    }
}

fn severity(seen: &Seen<'_>, limit: f32) -> Option<String> {
    // NaN is beyond every limit, and the worst there is.
    let rank = |s: Severity| if s.0.is_nan() { f32::INFINITY } else { s.0 };
    let beyond = seen.compared().filter(|&(_, _, severity)| rank(severity) >= limit);
    let (checkpoint, _, severity) = beyond.max_by(|a, b| rank(a.2).total_cmp(&rank(b.2)))?;
    Some(format!("{checkpoint} differs by {} the noise", wording::times(severity)))
}

fn nonfinite(seen: &Seen<'_>) -> Option<String> {
    let compared = seen.compared().find_map(|(checkpoint, metrics, _)| {
        let (a, b) = (metrics.nonfinite_reference, metrics.nonfinite_candidate);
        let (side, count) = if a > 0 { ("reference", a) } else { ("candidate", b) };
        (count > 0).then_some((checkpoint, side, count))
    });
    // What one side alone has is not compared, but looked at.
    let alone = || {
        let (side, finding) = seen.finding(|f| matches!(f.class, "nan" | "inf"))?;
        Some((finding.checkpoint, side, finding.count))
    };
    let (checkpoint, side, count) = compared.or_else(alone)?;
    let values = figures::count(count as usize, "value");
    Some(format!("{values} of the {side}'s {checkpoint} NaN or infinite"))
}

fn garbage(seen: &Seen<'_>, class: Option<&str>) -> Option<String> {
    let wanted = |f: &Finding| class.map_or(f.blame != Blame::Nobody, |class| f.class == class);
    let (side, finding) = seen.finding(wanted)?;
    Some(format!("garbage ({}) in the {side}'s {}", finding.class, finding.checkpoint))
}

fn token(seen: &Seen<'_>, pattern: &TokenPattern) -> Option<String> {
    let text = seen.texts.iter().flatten().find(|text| pattern.matches(text))?;
    let source = safe_short(pattern.source(), 60);
    Some(format!("the token ‘{}’ matches `{source}`", safe_short(text, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_back() {
        for text in [
            "position 12",
            "divergence",
            "severity 10",
            "severity 0.5",
            "nonfinite",
            "garbage",
            "garbage nan",
            "argmax",
            "token ^the",
            "token a b|c d",
        ] {
            let stop: Stop = text.parse().unwrap();
            assert_eq!(stop.to_string(), text);
            assert_eq!(format!("  {text} ").parse(), Ok(stop));
        }
    }

    #[test]
    fn every_form_is_a_condition() {
        for (form, _) in STOPS {
            let text = form.replace('N', "3").replace("[CLASS]", "nan").replace("REGEX", "x");
            assert!(text.parse::<Stop>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_says_what_there_is() {
        for (text, said) in [
            ("", "severity N"),
            ("diverge", "`diverge` is no condition; there are: position N, divergence"),
            ("position", "Expected `position N`"),
            ("position -1", "`-1` is no position"),
            ("position 99999999999", "is no position"),
            ("severity", "Expected `severity N`"),
            ("severity NaN", "`NaN` is no severity"),
            ("severity inf", "above 0"),
            ("severity -1", "above 0"),
            ("nonfinite now", "`now` is too much"),
            ("garbage soup", "there are: heap-pointer"),
            ("token", "Expected `token REGEX`"),
            ("token (", "unclosed group"),
            ("\u{1b}[2J", "\\u{1b}"),
        ] {
            let error = text.parse::<Stop>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains(['\u{1b}', '\n']), "{error:?}");
        }
    }
}
