//! Where the cursor has been: back and forward as in a browser.

use super::Cursor;

/// Jumps that are remembered.
const LIMIT: usize = 100;

/// Places before and after the present one.
#[derive(Clone, Debug, Default)]
pub struct History {
    past: Vec<Cursor>,
    future: Vec<Cursor>,
}

impl History {
    /// Remembers `from` before a jump; what was ahead is forgotten.
    pub fn jump(&mut self, from: Cursor) {
        if self.past.last() != Some(&from) {
            self.past.push(from);
        }
        if self.past.len() > LIMIT {
            self.past.remove(0);
        }
        self.future.clear();
    }

    /// The place before `here`.
    pub fn back(&mut self, here: Cursor) -> Option<Cursor> {
        let to = self.past.pop()?;
        self.future.push(here);
        Some(to)
    }

    /// The place that [`History::back`] came from.
    pub fn forward(&mut self, here: Cursor) -> Option<Cursor> {
        let to = self.future.pop()?;
        self.past.push(here);
        Some(to)
    }
}
