//! What lies over the view and takes the keys meant for it.

use crate::tui::views::View;

/// What lies over the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The page of keys and signs.
    Help {
        /// Lines by which it is scrolled; drawing limits it to what there is.
        scroll: u16,
    },
}

/// Where a key acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a view.
    View(View),
    /// On the help page.
    Help,
}
