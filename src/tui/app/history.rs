//! Where the cursor has been: back and forward as in a browser.

use super::Cursor;
use crate::tui::views::View;

/// Jumps that are remembered.
const LIMIT: usize = 100;

/// A place, with the view to come back to if it was left together with the place.
pub type Visited = (Cursor, Option<View>);

/// Places before and after the present one.
#[derive(Clone, Debug, Default)]
pub struct History {
    past: Vec<Visited>,
    future: Vec<Visited>,
}

impl History {
    /// Remembers `from` before a jump; what was ahead is forgotten.
    pub fn jump(&mut self, from: Cursor) {
        self.remember((from, None));
    }

    /// Remembers `from` together with the view that is left for another.
    pub fn leave(&mut self, from: Cursor, view: View) {
        self.remember((from, Some(view)));
    }

    fn remember(&mut self, from: Visited) {
        if self.past.last() != Some(&from) {
            self.past.push(from);
        }
        if self.past.len() > LIMIT {
            self.past.remove(0);
        }
        self.future.clear();
    }

    /// The place before the present one.
    pub fn back(&mut self, here: Cursor, view: View) -> Option<Visited> {
        let to = self.past.pop()?;
        self.future.push((here, to.1.map(|_| view)));
        Some(to)
    }

    /// The place that [`History::back`] came from.
    pub fn forward(&mut self, here: Cursor, view: View) -> Option<Visited> {
        let to = self.future.pop()?;
        self.past.push((here, to.1.map(|_| view)));
        Some(to)
    }
}
