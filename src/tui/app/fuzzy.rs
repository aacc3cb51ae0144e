//! How well a name fits what was typed, letters left out and all.

use std::fmt;

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// What was typed, ready to be looked for.
pub struct Fuzzy {
    pattern: Pattern,
    matcher: Matcher,
    scratch: Vec<char>,
}

impl fmt::Debug for Fuzzy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fuzzy").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

impl Fuzzy {
    /// Words in any order, each with letters left out or not.
    pub fn new(typed: &str) -> Self {
        let pattern = Pattern::new(typed, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), scratch: Vec::new() }
    }

    /// How well it fits; none if it does not.
    pub fn score(&mut self, name: &str) -> Option<u32> {
        self.pattern.score(Utf32Str::new(name, &mut self.scratch), &mut self.matcher)
    }

    /// Which characters of the name fit, ascending.
    pub fn places(&mut self, name: &str) -> Vec<u32> {
        let mut places = Vec::new();
        let name = Utf32Str::new(name, &mut self.scratch);
        if self.pattern.indices(name, &mut self.matcher, &mut places).is_none() {
            places.clear();
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}
