//! Which panes are shown where, by size, depth and focus.
//!
//! ```text
//! 80×24 and up                          160×40 and up
//! ┌ title ───────────────────────┐      ┌ title ─────────────────────────────────┐
//! │ tokens                       │      │ tokens                                 │
//! ├ map ────────┬ side by side ──┤      ├ map ──────────────┬ side by side ──────┤
//! ├ logits ─────┼ verdict ───────┤      ├ logits ────┬ verdict ────┬ garbage ────┤
//! └ footer ──────────────────────┘      └ footer ────────────────────────────────┘
//! ```
//!
//! Where the room does not suffice, the focused pane takes the place of a neighbour.

use ratatui::layout::Rect;

use super::app::{PaneKind, View};

/// Below this nothing useful can be shown.
pub const MIN_WIDTH: u16 = 40;
/// Below this nothing useful can be shown.
pub const MIN_HEIGHT: u16 = 10;

/// Rectangles of one screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The title, one or two lines.
    pub title: Rect,
    /// Panes with their places.
    pub panes: Vec<(PaneKind, Rect)>,
    /// Hints and messages.
    pub footer: Rect,
}

impl Layout {
    /// The layout for `area` and a map of `rows`; none if it is too small.
    pub fn new(area: Rect, depth: View, focus: PaneKind, rows: usize) -> Option<Self> {
        if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
            return None;
        }
        let roomy = area.height >= 20;
        let (title_height, token_height) = if roomy { (2, 3) } else { (1, 2) };
        let (title, rest) = split_rows(area, title_height);
        let (tokens, rest) = split_rows(rest, token_height);
        let (main, footer) = split_rows(rest, rest.height - 1);
        let mut panes = vec![(PaneKind::Tokens, tokens)];
        if main.width >= 72 && main.height >= 11 {
            grid(main, depth, focus, rows, &mut panes);
        } else {
            let first = if depth == View::Tensor { PaneKind::SideBySide } else { PaneKind::Map };
            let chosen = if matches!(focus, PaneKind::Tokens | PaneKind::Verdict) { first } else { focus };
            let (upper, lower) = if focus == PaneKind::Verdict && main.height < 12 {
                split_rows(main, 0)
            } else {
                split_rows(main, if main.height >= 12 { main.height - 6 } else { main.height })
            };
            panes.push((chosen, upper));
            panes.push((PaneKind::Verdict, lower));
        }
        panes.retain(|(_, area)| !area.is_empty());
        Some(Self { title, panes, footer })
    }

    /// The place of a pane, if it is shown.
    pub fn area(&self, pane: PaneKind) -> Option<Rect> {
        self.panes.iter().find(|(kind, _)| *kind == pane).map(|&(_, area)| area)
    }

    /// The pane at a place.
    pub fn pane_at(&self, x: u16, y: u16) -> Option<PaneKind> {
        self.panes.iter().find(|(_, area)| area.contains((x, y).into())).map(|&(kind, _)| kind)
    }
}

fn grid(main: Rect, depth: View, focus: PaneKind, rows: usize, panes: &mut Vec<(PaneKind, Rect)>) {
    let rich = main.width >= 160;
    let tensor = depth == View::Tensor;
    // Half for the map, up to two thirds if that shows all of its rows (and its title and ruler).
    let part = |percent: u32| (u32::from(main.height) * percent / 100) as u16;
    let upper_height = if tensor { part(66) } else { (rows.min(200) as u16 + 2).clamp(part(52), part(66)) };
    let (upper, lower) = split_rows(main, upper_height);
    match (tensor, focus) {
        (true, PaneKind::Map) | (false, _) => {
            let (map, side) = split_columns(upper, 46);
            panes.push((PaneKind::Map, map));
            panes.push((PaneKind::SideBySide, side));
        }
        _ => panes.push((PaneKind::SideBySide, upper)),
    }
    let wanted = |pane: PaneKind, otherwise: PaneKind| if focus == pane { pane } else { otherwise };
    if rich {
        let (a, rest) = split_columns(lower, 34);
        let (b, c) = split_columns(rest, 50);
        let first = if tensor { wanted(PaneKind::Logits, PaneKind::Elements) } else { PaneKind::Logits };
        panes.extend([(first, a), (PaneKind::Verdict, b), (PaneKind::Garbage, c)]);
    } else {
        let (left, right) = split_columns(lower, if tensor { 62 } else { 50 });
        let first = if tensor { wanted(PaneKind::Logits, PaneKind::Elements) } else { PaneKind::Logits };
        panes.extend([(first, left), (wanted(PaneKind::Garbage, PaneKind::Verdict), right)]);
    }
}

fn split_rows(area: Rect, first: u16) -> (Rect, Rect) {
    let first = first.min(area.height);
    let upper = Rect { height: first, ..area };
    let lower = Rect { y: area.y + first, height: area.height - first, ..area };
    (upper, lower)
}

/// Two panes side by side with one column between them, which the left one's frame does not use.
fn split_columns(area: Rect, percent: u32) -> (Rect, Rect) {
    let first = (u32::from(area.width) * percent / 100) as u16;
    let left = Rect { width: first, ..area };
    let right = Rect { x: area.x + first, width: area.width - first, ..area };
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_never_overlap_nor_leave_the_screen() {
        for width in (0..=300).step_by(7) {
            for height in (0..=100).step_by(3) {
                let area = Rect::new(0, 0, width, height);
                for depth in [View::Overview, View::Layer, View::Tensor] {
                    for focus in PaneKind::ALL {
                        let Some(layout) = Layout::new(area, depth, focus, 9) else {
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
                        assert_eq!(covered, area.area(), "{width}×{height} {depth:?} {focus:?}");
                        let hidden_elements = focus == PaneKind::Elements && depth != View::Tensor;
                        assert!(
                            hidden_elements || layout.area(focus).is_some(),
                            "{width}×{height} {focus:?}"
                        );
                    }
                }
            }
        }
    }
}
