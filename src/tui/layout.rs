//! Which panes are shown where: a view's arrangement laid out on a screen of some size.
//!
//! ```text
//! ┌ title ───────────────────────┐
//! │ tokens                       │
//! ├ … the view's panes … ────────┤
//! └ footer ──────────────────────┘
//! ```
//!
//! Where the room does not suffice, the focused pane takes the place of a neighbour.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use super::kinds::PaneKind;
use super::views::{Tree, View};

/// Below this nothing useful can be shown.
pub const MIN_WIDTH: u16 = 40;
/// Below this nothing useful can be shown.
pub const MIN_HEIGHT: u16 = 10;
/// Least part of a split that a drag leaves, in percent.
const LEAST: u8 = 10;

/// Which of a view's three trees is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Room {
    /// The small one.
    Small,
    /// The medium one.
    Medium,
    /// The large one.
    Large,
}

/// One split of a view's tree: the n-th in its order, at this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitId {
    /// The view.
    pub view: View,
    /// The tree.
    pub room: Room,
    /// Which of its splits: first the split itself, then those of its first part.
    pub index: usize,
}

/// Where the user has dragged splits to: the first part in percent.
pub type Splits = BTreeMap<SplitId, u8>;

/// A split as it lies on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitAt {
    /// Which.
    pub id: SplitId,
    /// Both parts.
    pub area: Rect,
    /// Whether the parts are side by side.
    pub columns: bool,
    /// First line or column of the second part.
    pub at: u16,
}

impl SplitAt {
    /// The share of the first part, in percent, if the line between the parts went through here.
    pub fn percent(&self, x: u16, y: u16) -> u8 {
        let (place, start, whole) =
            if self.columns { (x, self.area.x, self.area.width) } else { (y, self.area.y, self.area.height) };
        let first = u32::from(place.saturating_sub(start));
        let percent = (first * 100).div_ceil(u32::from(whole).max(1));
        (percent.min(100) as u8).clamp(LEAST, 100 - LEAST)
    }

    /// Whether a place is on the line between the parts.
    pub fn holds(&self, x: u16, y: u16) -> bool {
        let along = if self.columns { x } else { y };
        along == self.at && self.area.contains((x, y).into())
    }
}

/// What a screen is laid out by.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The view.
    pub view: View,
    /// The pane with the focus.
    pub focus: PaneKind,
    /// Rows of the map.
    pub rows: usize,
    /// Where splits were dragged to.
    pub splits: &'a Splits,
}

/// Rectangles of one screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The title, one or two lines.
    pub title: Rect,
    /// Panes with their places.
    pub panes: Vec<(PaneKind, Rect)>,
    /// Hints and messages.
    pub footer: Rect,
    /// What can be dragged.
    pub splits: Vec<SplitAt>,
}

impl Layout {
    /// The layout for `area`; none if it is too small.
    pub fn new(area: Rect, wish: Wish<'_>) -> Option<Self> {
        if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
            return None;
        }
        let roomy = area.height >= 20;
        let (title_height, token_height) = if roomy { (2, 3) } else { (1, 2) };
        let (title, rest) = split_rows(area, title_height);
        let (tokens, rest) = split_rows(rest, token_height);
        let (main, footer) = split_rows(rest, rest.height - 1);
        let arrangement = &wish.view.info().arrangement;
        let (room, tree) = match (main.width, main.height) {
            (160.., 11..) => (Room::Large, &arrangement.large),
            (72.., 11..) => (Room::Medium, &arrangement.medium),
            _ => (Room::Small, &arrangement.small),
        };
        let mut laid =
            Laid { wish, room, next: 0, panes: vec![(PaneKind::Tokens, tokens)], splits: Vec::new() };
        if room == Room::Small && main.height < 12 {
            let all = tree.panes();
            let chosen = if all.contains(&wish.focus) { wish.focus } else { all[0] };
            laid.panes.push((chosen, main));
        } else {
            laid.place(tree, main);
        }
        laid.panes.retain(|(_, area)| !area.is_empty());
        Some(Self { title, panes: laid.panes, footer, splits: laid.splits })
    }

    /// The place of a pane, if it is shown.
    pub fn area(&self, pane: PaneKind) -> Option<Rect> {
        self.panes.iter().find(|(kind, _)| *kind == pane).map(|&(_, area)| area)
    }

    /// The pane at a place.
    pub fn pane_at(&self, x: u16, y: u16) -> Option<PaneKind> {
        self.panes.iter().find(|(_, area)| area.contains((x, y).into())).map(|&(kind, _)| kind)
    }

    /// The split whose line is at a place.
    pub fn split_at(&self, x: u16, y: u16) -> Option<&SplitAt> {
        self.splits.iter().find(|split| split.holds(x, y))
    }

    /// A split by its name.
    pub fn split(&self, id: SplitId) -> Option<&SplitAt> {
        self.splits.iter().find(|split| split.id == id)
    }
}

struct Laid<'a> {
    wish: Wish<'a>,
    room: Room,
    next: usize,
    panes: Vec<(PaneKind, Rect)>,
    splits: Vec<SplitAt>,
}

impl Laid<'_> {
    fn place(&mut self, tree: &Tree, area: Rect) {
        let (share, columns, first, second) = match tree {
            Tree::Panes(panes) => {
                let shown = panes.iter().copied().find(|&p| p == self.wish.focus).or(panes.first().copied());
                self.panes.extend(shown.map(|pane| (pane, area)));
                return;
            }
            Tree::Rows(share, a, b) => (share, false, a, b),
            Tree::Columns(share, a, b) => (share, true, a, b),
        };
        let id = SplitId { view: self.wish.view, room: self.room, index: self.next };
        self.next += 1;
        let whole = if columns { area.width } else { area.height };
        let dragged = self.wish.splits.get(&id).map(|&p| (u32::from(whole) * u32::from(p) / 100) as u16);
        let size = dragged.unwrap_or_else(|| share.of(whole, self.wish.rows));
        let (a, b) = if columns { split_columns(area, size) } else { split_rows(area, size) };
        self.splits.push(SplitAt { id, area, columns, at: if columns { b.x } else { b.y } });
        self.place(first, a);
        self.place(second, b);
    }
}

fn split_rows(area: Rect, first: u16) -> (Rect, Rect) {
    let first = first.min(area.height);
    let upper = Rect { height: first, ..area };
    let lower = Rect { y: area.y + first, height: area.height - first, ..area };
    (upper, lower)
}

fn split_columns(area: Rect, first: u16) -> (Rect, Rect) {
    let first = first.min(area.width);
    let left = Rect { width: first, ..area };
    let right = Rect { x: area.x + first, width: area.width - first, ..area };
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_never_overlap_nor_leave_the_screen() {
        for (width, height) in (0..=300).step_by(7).flat_map(|w| (0..=100).step_by(3).map(move |h| (w, h))) {
            let area = Rect::new(0, 0, width, height);
            for &view in View::ALL {
                for focus in view.panes() {
                    let splits = Splits::new();
                    let wish = Wish { view, focus, rows: 9, splits: &splits };
                    let Some(layout) = Layout::new(area, wish) else {
                        assert!(width < MIN_WIDTH || height < MIN_HEIGHT);
                        continue;
                    };
                    let mut all: Vec<Rect> = layout.panes.iter().map(|p| p.1).collect();
                    all.extend([layout.title, layout.footer]);
                    for (i, a) in all.iter().enumerate() {
                        assert_eq!(area.intersection(*a), *a);
                        assert!(all[i + 1..].iter().all(|b| a.intersection(*b).is_empty()));
                    }
                    let covered: u32 = all.iter().map(|r| r.area()).sum();
                    assert_eq!(covered, area.area(), "{width}×{height} {view:?} {focus:?}");
                    assert!(layout.area(focus).is_some(), "{width}×{height} {view:?} {focus:?}");
                }
            }
        }
    }

    #[test]
    fn a_dragged_split_stays_where_it_was_dragged_to() {
        let area = Rect::new(0, 0, 120, 40);
        let mut splits = Splits::new();
        let lay = |splits: &Splits| {
            let wish = Wish { view: View::Overview, focus: PaneKind::Map, rows: 9, splits };
            Layout::new(area, wish).unwrap()
        };
        let before = lay(&splits);
        let map = before.area(PaneKind::Map).unwrap();
        let split = *before.split_at(map.right(), map.y + 3).expect("the line between map and values");
        assert!(split.columns);
        for x in [30, 70, 0, 119] {
            splits.insert(split.id, split.percent(x, map.y + 3));
            let right = lay(&splits).area(PaneKind::Map).unwrap().right();
            assert!(right.abs_diff(x.clamp(12, 108)) <= 1, "{x}: {right}");
        }
    }
}
