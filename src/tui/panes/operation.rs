//! The evidence of the chosen faulty operation: the sentence and the figures behind it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{Context, frame, heading, span, text};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let chosen = app.chosen(PaneKind::Operations).and_then(|row| app.operation(row));
    let mut title = heading(context, PaneKind::Operation, PaneKind::Operation.name());
    let about = chosen.map(|f| format!(": {} of the {}", f.checkpoint, f.side)).unwrap_or_default();
    title.spans.push(span(&about, theme.style(Role::Text)));
    let inner = frame(context, PaneKind::Operation, &title, None, area, buf);
    let Some(faulty) = chosen else { return };
    let whose = if faulty.instrument { "the recorder is at fault, not the engine" } else { "" };
    let mut lines = vec![Line::from(span(&faulty.sentence, theme.bold(Role::Bad)))];
    if !whose.is_empty() {
        lines.push(Line::from(span(whose, theme.style(Role::Caution))));
    }
    lines.extend(faulty.evidence.iter().map(|line| Line::from(span(line, theme.style(Role::Text)))));
    text(context, PaneKind::Operation, lines, inner, buf);
}
