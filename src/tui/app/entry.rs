//! What can be asked for by name: the rows of the command line and the palette.

use std::borrow::Cow;

use super::{Action, App};

/// Something that can be asked for by name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What follows the name: `N`, `[LETTER]`; nothing where nothing does.
    pub form: &'static str,
    /// A sentence.
    pub help: Cow<'static, str>,
    /// The keys that do the same.
    pub keys: String,
    /// What it does.
    pub run: Run,
}

/// What an entry does.
#[derive(Clone, Debug)]
pub enum Run {
    /// This.
    Do(Action),
    /// What its argument says.
    Read {
        /// What the argument may continue as.
        complete: Complete,
        /// What it means, or what was expected instead.
        read: Read,
    },
}

/// Every argument that makes sense now.
pub type Complete = fn(&App) -> Vec<Candidate>;
/// What an argument means, or what was expected in its place.
pub type Read = fn(&App, &str) -> Result<Action, String>;

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is put in.
    pub text: String,
    /// What follows it, for the list.
    pub form: String,
    /// What it means.
    pub help: String,
    /// The keys that do the same.
    pub keys: String,
}

impl Candidate {
    /// One without form and keys.
    pub fn new(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { text: text.into(), form: String::new(), help: help.into(), keys: String::new() }
    }
}

impl Entry {
    /// Its name with what follows.
    pub fn usage(&self) -> String {
        if self.form.is_empty() { self.name.to_string() } else { format!("{} {}", self.name, self.form) }
    }

    /// Whether it cannot do without an argument.
    pub fn needs_argument(&self) -> bool {
        matches!(self.run, Run::Read { .. }) && !self.form.starts_with('[')
    }
}
