//! What panes have folded of the values under the cursor: once for the values, not once a frame.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::tui::kinds::PaneKind;

/// What something was folded for: the pane, and the cells that it has across and down.
type Key = (PaneKind, [usize; 2]);

/// Things made from the values under the cursor; forgotten with them. Every pane has the last one that it
/// asked for, so that a change of size folds anew and nothing piles up.
#[derive(Default)]
pub struct Prepared(RefCell<Vec<(Key, Rc<dyn Any>)>>);

impl Prepared {
    /// What `make` gives, or gave for the same values at this size.
    pub fn of<T: 'static>(&self, pane: PaneKind, size: [usize; 2], make: impl FnOnce() -> T) -> Rc<T> {
        let key = (pane, size);
        let kept = self.0.borrow().iter().find(|(k, _)| *k == key).map(|(_, made)| Rc::clone(made));
        if let Some(made) = kept.and_then(|made| made.downcast().ok()) {
            return made;
        }
        let made = Rc::new(make());
        let mut all = self.0.borrow_mut();
        all.retain(|((kind, _), _)| *kind != pane);
        all.push((key, Rc::clone(&made) as Rc<dyn Any>));
        made
    }

    /// Other values are under the cursor.
    pub(super) fn forget(&mut self) {
        self.0.get_mut().clear();
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.0.borrow().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_made_once_until_they_are_forgotten_or_the_size_changes() {
        let mut prepared = Prepared::default();
        let made = std::cell::Cell::new(0);
        let ask = |prepared: &Prepared, size| {
            *prepared.of(PaneKind::Map, size, || {
                made.set(made.get() + 1);
                made.get()
            })
        };
        assert_eq!([ask(&prepared, [3, 4]), ask(&prepared, [3, 4])], [1, 1]);
        assert_eq!([ask(&prepared, [3, 5]), ask(&prepared, [3, 5])], [2, 2]);
        assert_eq!(ask(&prepared, [3, 4]), 3, "one size a pane is kept");
        prepared.forget();
        assert_eq!(ask(&prepared, [3, 4]), 4);
    }
}
