//! Footer: hints from the table of keys, or the newest message.
//!
//! ```text
//! ←→ position  ↑↓ row  Enter drill  n next divergence  s step …  ? help  q quit
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Context, put, span};
use crate::tui::theme::Role;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    if let Some(message) = app.message() {
        let role = if message.is_error { Role::Bad } else { Role::Accent };
        let line = Line::from(vec![
            Span::styled(if message.is_error { " ! " } else { " › " }, theme.bar(role)),
            Span::raw(" "),
            span(&message.text, theme.bold(role)),
        ]);
        put(buf, area, 0, &line);
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    for (keys, word) in context.keymap.footer(app.place(), (area.width as usize).saturating_sub(1)) {
        spans.push(Span::styled(keys.into_owned(), theme.bold(Role::Accent)));
        spans.push(Span::styled(format!(" {word}  "), theme.style(Role::Dim)));
    }
    put(buf, area, 0, &Line::from(spans));
}
