//! Names of checkpoints as a trace writes them, each understood once.

use std::collections::HashMap;

use super::limits::{MAX_NAMES, MAX_QUOTE};
use crate::model::Checkpoint;

/// Names seen so far.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<Box<str>, Option<Checkpoint>>);

impl Names {
    /// The checkpoint called `name`; none where paritty knows none of that name.
    pub fn checkpoint(&mut self, name: &str) -> Option<Checkpoint> {
        if let Some(known) = self.0.get(name) {
            return *known;
        }
        let checkpoint = name.parse().ok();
        if self.0.len() < MAX_NAMES && name.len() <= MAX_QUOTE {
            self.0.insert(name.into(), checkpoint);
        }
        checkpoint
    }
}
