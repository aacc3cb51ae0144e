//! How a session steps: who chooses the tokens, where it pauses, what was changed since its start.

use std::fmt;
use std::str::FromStr;

use super::Stop;
use crate::text::safe_short;

/// Who chooses the tokens behind the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// Teacher forcing: both sides get the reference's tokens, so that every position can be
    /// compared.
    #[default]
    Reference,
    /// Every side continues with its own most likely token; from where these differ on, nothing can
    /// be compared.
    Free,
}

/// A text that names no feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` feeds nothing; there are: reference (its tokens to both sides), free (each side its own)")]
pub struct UnknownFeed(String);

impl FromStr for Feed {
    type Err = UnknownFeed;

    fn from_str(text: &str) -> Result<Self, UnknownFeed> {
        match text.trim() {
            "reference" => Ok(Self::Reference),
            "free" => Ok(Self::Free),
            other => Err(UnknownFeed(safe_short(other, 40))),
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Free => "free",
        })
    }
}

/// How the session steps, for the title.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stepping {
    /// What the present run pauses at.
    pub until: Option<Stop>,
    /// What any run pauses at.
    pub breakpoints: Vec<Stop>,
    /// Positions a second at most.
    pub speed: Option<f32>,
    /// Who chooses the tokens.
    pub feed: Feed,
    /// The position at which a condition ended the last run, and a sentence that says which; nothing
    /// while a run goes on or where it was ended by hand.
    pub stopped: Option<(u32, String)>,
    /// The first position where the two sides have different tokens.
    pub fork: Option<u32>,
    /// What is changed of the candidate against the session's start, as [`super::Change`] is
    /// written.
    pub changes: Vec<String>,
}
