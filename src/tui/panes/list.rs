//! What panes with a choice share: rows of aligned columns, the chosen one marked.
//!
//! ```text
//!    pos  side       class          checkpoint
//! ▸   17  candidate  nan            Kcur-3
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Context, frame, heading, put, span};
use crate::text::safe;
use crate::tui::app::Action;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Columns that the sign of the chosen row takes.
const GUTTER: u16 = 2;

/// How a column of a list is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// What it holds.
    pub name: &'static str,
    /// Its width.
    pub width: usize,
    /// Whether it is set to the right, as numbers are.
    pub right: bool,
}

/// A column of text.
pub(super) const fn text(name: &'static str, width: usize) -> Column {
    Column { name, width, right: false }
}

/// A column of numbers.
pub(super) const fn number(name: &'static str, width: usize) -> Column {
    Column { name, width, right: true }
}

/// One row: texts with their styles, as many as fit into `room` with two columns between them. What does
/// not fit goes as a whole.
pub(super) fn line(columns: &[Column], cells: &[(String, Style)], room: u16) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    for (column, (text, style)) in columns.iter().zip(cells) {
        let gap = if spans.is_empty() { 0 } else { 2 };
        if used + gap + column.width > room as usize {
            break;
        }
        used += gap + column.width;
        let text = fit(&safe(text), column.width);
        let space = " ".repeat(column.width.saturating_sub(text.width()));
        let gap = " ".repeat(gap);
        let set = if column.right { format!("{gap}{space}{text}") } else { format!("{gap}{text}{space}") };
        spans.push(span(&set, *style));
    }
    Line::from(spans)
}

/// `text` in no more than `width` columns of the terminal; where it is cut, it ends in an ellipsis.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let cut = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= width
    });
    let mut out: String = cut.collect();
    if width > 0 {
        out.push('…');
    }
    out
}

/// The names of the columns.
fn heads(context: Context<'_>, columns: &[Column], room: u16) -> Line<'static> {
    let dim = context.theme.style(Role::Dim);
    let names: Vec<_> = columns.iter().map(|c| (c.name.to_owned(), dim)).collect();
    line(columns, &names, room)
}

/// The place of a list's rows in a pane with this many lines of heading.
pub(super) fn body(area: Rect, heading: u16) -> Rect {
    let above = (1 + heading).min(area.height);
    Rect { y: area.y + above, height: area.height - above, ..area }
}

/// Draws the rows that fit into `area` around the choice; `row` makes one, for a room of so many columns.
fn rows(
    context: Context<'_>,
    pane: PaneKind,
    area: Rect,
    buf: &mut Buffer,
    row: impl Fn(usize, u16) -> Line<'static>,
) {
    let (app, theme) = (context.app, context.theme);
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let listed = app.listed(pane, area.height as usize);
    let chosen = app.chosen(pane);
    let inner = Rect { x: area.x + GUTTER.min(area.width), width: area.width.saturating_sub(GUTTER), ..area };
    // A sign in the last column says that there is more.
    let room = inner.width.saturating_sub(1);
    for (y, i) in (0u16..).zip(listed.clone()) {
        put(buf, Rect { width: room, ..inner }, y, &row(i, room));
        if chosen == Some(i) {
            let whole = Rect { y: area.y + y, height: 1, ..area };
            put(buf, whole, 0, &Line::from(span("▸", theme.bold(Role::Accent))));
            if app.pane() == pane {
                buf.set_style(whole, theme.bar(Role::Accent));
            }
        }
    }
    let mut sign = |sign: &str, y: u16| {
        let x = area.right() - 1;
        buf[(x, y)].set_symbol(sign).set_style(theme.style(Role::Accent));
    };
    if listed.start > 0 {
        sign("▲", area.y);
    }
    if listed.end < app.list_len(pane) {
        sign("▼", area.bottom() - 1);
    }
}

/// Draws a pane that is nothing but a list: its frame with the place in the list, the lines above the rows
/// (`above` of them, the last one the names of the columns), and the rows. An empty list says `none`.
pub(super) struct List<'a> {
    /// The pane.
    pub pane: PaneKind,
    /// Its columns.
    pub columns: &'a [Column],
    /// What stands at the right end of the title; none: the place in the list.
    pub right: Option<Line<'a>>,
    /// What it says when it is empty.
    pub none: (&'a str, Role),
    /// Lines above the names of the columns.
    pub heading: Vec<Line<'a>>,
}

impl List<'_> {
    /// Draws it.
    pub(super) fn draw(
        &self,
        context: Context<'_>,
        area: Rect,
        buf: &mut Buffer,
        row: impl Fn(usize, u16) -> Line<'static>,
    ) {
        let title = heading(context, self.pane, self.pane.name());
        let place = place(context, self.pane);
        let inner = frame(context, self.pane, &title, self.right.as_ref().or(place.as_ref()), area, buf);
        if inner.is_empty() {
            return;
        }
        for (y, line) in (0u16..).zip(&self.heading) {
            put(buf, inner, y, line);
        }
        let names = self.heading.len() as u16;
        if context.app.list_len(self.pane) == 0 {
            let (text, role) = self.none;
            return put(buf, inner, names, &Line::from(span(text, context.theme.style(role))));
        }
        let gutter = GUTTER.min(inner.width);
        let below = Rect { x: inner.x + gutter, width: inner.width - gutter, ..inner };
        put(buf, below, names, &heads(context, self.columns, below.width.saturating_sub(1)));
        let body = body(Rect { x: inner.x, width: inner.width, ..area }, names + 1);
        rows(context, self.pane, body, buf, row);
    }
}

/// `12 of 340`, for a pane's title.
fn place(context: Context<'_>, pane: PaneKind) -> Option<Line<'static>> {
    let chosen = context.app.chosen(pane)?;
    let text = format!("{} of {}", chosen + 1, context.app.list_len(pane));
    Some(Line::from(span(&text, context.theme.style(Role::Dim))))
}

/// The row at a line of the screen, where the rows are at `area`.
pub(super) fn hit(context: Context<'_>, pane: PaneKind, area: Rect, y: u16) -> Option<Action> {
    let line = y.checked_sub(area.y).filter(|&line| line < area.height)?;
    let row = context.app.listed(pane, area.height as usize).nth(line as usize)?;
    Some(Action::Choose(pane, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_columns_and_drop_what_does_not_fit() {
        let columns = [number("n", 4), text("name", 6), text("more", 6)];
        let cells: Vec<_> = ["17", "a longer name", "x"].map(|t| (t.to_owned(), Style::new())).to_vec();
        assert_eq!(line(&columns, &cells, 40).to_string(), "  17  a lon…  x     ");
        assert_eq!(line(&columns, &cells, 15).to_string(), "  17  a lon…");
        assert_eq!(line(&columns, &cells, 3).to_string(), "");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("abc", 3), "abc");
    }
}
