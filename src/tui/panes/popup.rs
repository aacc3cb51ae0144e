//! A list over the lower part of the view, above a prompt.
//!
//! ```text
//! ─ commands ──────────────────────────────── Tab completes ─
//!  goto N         position N
//! ▌layer N        the same checkpoint in layer N
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::{Context, put, span};
use crate::tui::theme::Role;

/// Rows that are shown at most.
const TALLEST: usize = 16;

/// One row of a list.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// What it is called.
    pub name: String,
    /// Which characters of it were looked for.
    pub places: Vec<u32>,
    /// What follows the name, if anything does.
    pub form: String,
    /// What it is.
    pub help: String,
    /// What stands at its right end.
    pub right: String,
}

/// A list.
#[derive(Debug)]
pub(super) struct Popup {
    pub title: String,
    pub right: String,
    pub rows: Vec<Row>,
    pub chosen: Option<usize>,
    /// Whether it says what is wrong.
    pub is_error: bool,
}

impl Popup {
    /// Where it is drawn: the lower part of what is over the view, with a rule above.
    fn area(&self, over: Rect) -> Rect {
        let most = TALLEST.min((over.height / 2).max(3) as usize);
        let height = (self.rows.len().min(most) as u16 + 1).min(over.height);
        Rect { y: over.bottom() - height, height, ..over }
    }

    /// First row shown.
    fn first(&self, shown: usize) -> usize {
        let at = self.chosen.unwrap_or(0);
        at.saturating_sub(shown.saturating_sub(1).max(shown / 2)).min(self.rows.len().saturating_sub(shown))
    }

    /// The row at a line of the screen.
    pub(super) fn hit(&self, over: Rect, y: u16) -> Option<usize> {
        let area = self.area(over);
        let line = y.checked_sub(area.y + 1).filter(|_| y < area.bottom())?;
        let row = self.first(area.height.saturating_sub(1) as usize) + line as usize;
        (row < self.rows.len()).then_some(row)
    }

    pub(super) fn draw(&self, context: Context<'_>, over: Rect, buf: &mut Buffer) {
        let theme = context.theme;
        let area = self.area(over.intersection(buf.area));
        if area.is_empty() {
            return;
        }
        Clear.render(area, buf);
        let tone = if self.is_error { Role::Bad } else { Role::Accent };
        buf.set_style(area, theme.base());
        for x in area.left()..area.right() {
            buf[(x, area.y)].set_symbol("━").set_style(theme.style(tone));
        }
        let title = Line::from(span(&format!(" {} ", self.title), theme.bold(tone)));
        put(buf, Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area }, 0, &title);
        let right = Line::from(span(&format!(" {} ", self.right), theme.style(Role::Dim)));
        let width = right.width() as u16;
        if title.width() as u16 + width + 4 < area.width && !self.right.is_empty() {
            let place = Rect { x: area.right() - width - 1, width, ..area };
            put(buf, place, 0, &right);
        }
        let shown = area.height.saturating_sub(1) as usize;
        let first = self.first(shown);
        let visible = || self.rows.iter().enumerate().skip(first).take(shown);
        let widest = |f: fn(&Row) -> usize| self.rows.iter().map(f).max().unwrap_or(0);
        let name_width = |row: &Row| {
            let form = Span::raw(&row.form).width();
            Span::raw(&row.name).width() + form + usize::from(form > 0)
        };
        // Names leave room for what they are.
        let explained = self.rows.iter().any(|row| !row.help.is_empty());
        let most = if explained { area.width as usize * 2 / 5 } else { area.width as usize };
        let first_width = widest(name_width).min(most);
        let right_width = widest(|row| Span::raw(&row.right).width()).min(area.width as usize / 4);
        for (line, (index, row)) in (1..).zip(visible()) {
            let chosen = self.chosen == Some(index);
            let place = |x: usize, width: usize| {
                let x = area.x + (x as u16).min(area.width);
                Rect { x, width: (width as u16).min(area.right() - x), ..area }
            };
            if chosen {
                buf.set_style(Rect { y: area.y + line, height: 1, ..area }, theme.bar(Role::Accent));
            }
            // A chosen row is one bar: nothing in it has a colour of its own.
            let style = |role: Role| if chosen { theme.bar(Role::Accent) } else { theme.style(role) };
            let mut name = vec![Span::styled(if chosen { "▸" } else { " " }, style(Role::Accent))];
            name.extend(lit(
                row,
                style(Role::Text),
                if chosen { style(Role::Text) } else { theme.bold(Role::Accent) },
            ));
            if !row.form.is_empty() {
                name.push(span(&format!(" {}", row.form), style(Role::Dim)));
            }
            put(buf, place(0, first_width + 1), line, &Line::from(name));
            let about = area.width as usize - (first_width + 3).min(area.width as usize);
            let help_width = about.saturating_sub(if right_width > 0 { right_width + 3 } else { 1 });
            let help = Line::from(span(&clipped(&row.help, help_width), style(Role::Dim)));
            put(buf, place(first_width + 3, help_width), line, &help);
            if right_width > 0 {
                let right = Line::from(span(&row.right, style(Role::Accent)));
                let x = (area.width as usize).saturating_sub(right_width + 1);
                put(buf, place(x, right_width), line, &right);
            }
        }
    }
}

/// The name, with what was looked for standing out.
fn lit(row: &Row, plain: ratatui::style::Style, lit: ratatui::style::Style) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (i, c) in (0u32..).zip(row.name.chars()) {
        let style = if row.places.binary_search(&i).is_ok() { lit } else { plain };
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push(c),
            _ => spans.push(span(&c.to_string(), style)),
        }
    }
    spans
}

/// Cut at the end of a word where it does not fit.
fn clipped(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for word in text.split_inclusive(' ') {
        if Span::raw(&out).width() + Span::raw(word.trim_end()).width() + 1 > width {
            break;
        }
        out.push_str(word);
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('…');
    out
}
