//! All findings of garbage, in order of position; above them how many of which class.
//!
//! ```text
//! ─ all garbage ───────────────────────────────────────── 3 of 340 ─
//! reference  heap-pointer 40
//! candidate  nan 12, inf 3
//!    pos  side       class          checkpoint      values  channel  whose
//! ▸   17  candidate  N nan          Kcur-3               4      112  engine
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::list::{self, Column, List, number, text};
use super::tokens::blame_style;
use super::{Context, span};
use crate::garbage::Blame;
use crate::session::Which;
use crate::tui::app::Action;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::words;

const PANE: PaneKind = PaneKind::Findings;

const COLUMNS: [Column; 7] = [
    number("pos", 5),
    text("side", 9),
    text("class", 16),
    text("checkpoint", 15),
    number("values", 6),
    text("whose", 6),
    number("channel", 7),
];

/// Lines above the rows: counts of both runs and the columns' names, where there is room.
fn above(area: Rect) -> u16 {
    if area.height >= 8 { 3 } else { 1 }
}

/// Who is at fault, in a word.
pub(super) fn whose(blame: Blame) -> &'static str {
    match blame {
        Blame::Engine => "engine",
        Blame::Instrument => "logger",
        Blame::Nobody => "nobody",
    }
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let counted = above(area) > 1 && app.list_len(PANE) > 0;
    let heading = if counted { Which::BOTH.map(|side| counts(context, side)).to_vec() } else { Vec::new() };
    let none = ("no garbage so far: every value of both runs could have been computed", Role::Good);
    let list = List { pane: PANE, columns: &COLUMNS, right: None, none, heading };
    list.draw(context, area, buf, |row, room| {
        let Some(found) = app.finding(row) else { return Line::default() };
        let finding = found.finding;
        let (dim, plain) = (theme.style(Role::Dim), theme.style(Role::Text));
        let glyph = if finding.glyph.is_control() { '!' } else { finding.glyph };
        // A position is named once.
        let repeated =
            row > 0 && app.finding(row - 1).is_some_and(|before| before.position == found.position);
        let cells: [(String, Style); 7] = [
            (found.position.to_string(), if repeated { dim } else { theme.bold(Role::Text) }),
            (found.side.to_string(), theme.style(words::side_role(found.side))),
            (format!("{glyph} {}", finding.class), blame_style(context, finding.blame)),
            (finding.checkpoint.to_string(), plain),
            (finding.count.to_string(), plain),
            (whose(finding.blame).to_owned(), dim),
            (finding.first_channel.to_string(), dim),
        ];
        list::line(&COLUMNS, &cells, room)
    });
}

/// `candidate  nan 12, inf 3`.
fn counts(context: Context<'_>, side: Which) -> Line<'static> {
    let theme = context.theme;
    let mut counts: Vec<_> = context.app.finding_counts(side).iter().collect();
    counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    let text: Vec<String> = counts.iter().map(|(class, n)| format!("{class} {n}")).collect();
    let text = if text.is_empty() { "none".to_owned() } else { text.join(" · ") };
    Line::from(vec![
        span(&format!("{side}  "), theme.bold(words::side_role(side))),
        span(&text, theme.style(Role::Text)),
    ])
}

/// The finding at (x, y).
pub fn hit(context: Context<'_>, area: Rect, _: u16, y: u16) -> Option<Action> {
    list::hit(context, PANE, list::body(area, above(area)), y)
}
