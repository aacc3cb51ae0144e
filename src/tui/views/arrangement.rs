//! Where panes are: a tree of splits for each of three sizes of screen.

use crate::tui::kinds::PaneKind;

/// Panes by room. All three show the same panes, if need be in turn.
#[derive(Debug)]
pub struct Arrangement {
    /// From 160 columns on.
    pub large: Tree,
    /// From 72 columns and 11 rows on, without the rows for title, tokens and footer.
    pub medium: Tree,
    /// Below that.
    pub small: Tree,
}

/// Nested splits.
#[derive(Debug)]
pub enum Tree {
    /// One place. It shows the first of these panes, or that which has the focus.
    Panes(&'static [PaneKind]),
    /// One above the other.
    Rows(Share, &'static Self, &'static Self),
    /// Side by side.
    Columns(Share, &'static Self, &'static Self),
}

/// The first part's share of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Percent of the whole.
    Percent(u8),
    /// As many lines as the map has rows (with title and ruler), within these bounds in percent.
    Map(u8, u8),
    /// All but this many lines or columns.
    AllBut(u16),
}

impl Tree {
    /// Its panes, from left to right and from top to bottom.
    pub fn panes(&self) -> Vec<PaneKind> {
        match self {
            Self::Panes(panes) => panes.to_vec(),
            Self::Rows(_, a, b) | Self::Columns(_, a, b) => [a.panes(), b.panes()].concat(),
        }
    }
}

impl Share {
    /// Lines or columns of the first part, of `whole`; `rows` is the number of the map's rows.
    pub fn of(self, whole: u16, rows: usize) -> u16 {
        let percent = |p: u8| (u32::from(whole) * u32::from(p) / 100) as u16;
        match self {
            Self::Percent(p) => percent(p),
            Self::Map(least, most) => (rows.min(200) as u16 + 2).clamp(percent(least), percent(most)),
            Self::AllBut(rest) => whole.saturating_sub(rest),
        }
    }
}
