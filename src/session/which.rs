//! One of the two runs.

use std::fmt;

/// One of the two runs of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// The run that is trusted.
    Reference,
    /// The run under test.
    Candidate,
}

impl Which {
    /// Both, the reference first.
    pub const BOTH: [Self; 2] = [Self::Reference, Self::Candidate];

    /// Its place where both runs are in an array.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Candidate => "candidate",
        })
    }
}
