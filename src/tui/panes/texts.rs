//! What both runs have read up to the cursor, what each expects next, and where the texts part.
//!
//! ```text
//! ─ text so far ─────────────────────── they part at 17 ─
//! reference  The quick brown fox▸ jumps
//! candidate  The quick brown cat▸ sleeps
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

use super::{Context, frame, heading, put, span};
use crate::compare::TopEntry;
use crate::session::{Focus, texts};
use crate::text::safe;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

const PANE: PaneKind = PaneKind::Texts;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let position = app.cursor().position;
    let said = texts(&app.snapshot().tokens, position);
    let fork = said.part_at.or(app.snapshot().stepping.fork);
    let right = match (said.part_at, fork) {
        (Some(at), _) => (format!("they part at position {at}"), Role::Bad),
        (None, Some(at)) => (format!("the same up to here; they part at {at}"), Role::Caution),
        (None, None) => ("the same on both sides".to_owned(), Role::Dim),
    };
    let title = heading(context, PANE, &format!("text up to position {position}"));
    let right = Line::from(span(&right.0, theme.style(right.1)));
    let inner = frame(context, PANE, &title, Some(&right), area, buf);
    if inner.is_empty() {
        return;
    }
    let focus = app.shown().any().filter(|f| f.position == position);
    let half = inner.height / 2;
    let sides = [
        ("reference", Role::Reference, &said.reference, focus.map(|f| &f.top.reference[..])),
        ("candidate", Role::Candidate, &said.candidate, focus.map(|f| &f.top.candidate[..])),
    ];
    for ((name, role, text, top), y) in sides.into_iter().zip([0, half]) {
        let height = if y == 0 { half.max(1) } else { inner.height - half };
        let place = Rect { y: inner.y + y, height, ..inner }.intersection(inner);
        let next = focus.zip(top).and_then(|(focus, top)| next(focus, top));
        let pieces = [
            (text.get(..said.common).unwrap_or_default().to_owned(), theme.style(Role::Text)),
            (text.get(said.common..).unwrap_or_default().to_owned(), theme.bar(role)),
            ("▸".to_owned(), theme.bold(Role::Accent)),
            (next.unwrap_or_default(), theme.style(Role::Dim)),
        ];
        side(context, (name, role), &pieces, place, buf);
    }
}

/// The text of the most likely next token.
fn next(focus: &Focus, top: &[TopEntry]) -> Option<String> {
    let token = top.first()?.token;
    let piece = focus.pieces.iter().find(|(id, _)| *id == token).map(|(_, text)| text.clone());
    Some(piece.filter(|p| !p.is_empty()).unwrap_or_else(|| format!("[{token}]")))
}

/// One side: its name, then as much of the text's end as fits.
fn side(
    context: Context<'_>,
    (name, role): (&str, Role),
    pieces: &[(String, Style)],
    area: Rect,
    buf: &mut Buffer,
) {
    const NAME: u16 = 11;
    let theme = context.theme;
    let beside = area.width >= 3 * NAME;
    let place = if beside {
        put(buf, area, 0, &Line::from(span(name, theme.bold(role))));
        Rect { x: area.x + NAME, width: area.width - NAME, ..area }
    } else {
        area
    };
    let lines = wrap(pieces, place.width);
    let skipped = lines.len().saturating_sub(place.height as usize);
    for (y, line) in (0u16..).zip(lines.into_iter().skip(skipped)) {
        put(buf, place, y, &line);
    }
    if skipped > 0 && beside && area.height > 1 {
        put(buf, area, 1, &Line::from(span("▲ more", theme.style(Role::Dim))));
    }
}

/// Broken wherever a line is full, so that nothing above moves when text is added.
fn wrap(pieces: &[(String, Style)], width: u16) -> Vec<Line<'static>> {
    let mut lines: Vec<Vec<Span<'static>>> = vec![Vec::new()];
    let mut used = 0;
    for (text, style) in pieces {
        let mut run = String::new();
        for c in safe(text).chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > width as usize {
                if let Some(line) = lines.last_mut() {
                    line.push(Span::styled(std::mem::take(&mut run), *style));
                }
                lines.push(Vec::new());
                used = 0;
            }
            used += wide;
            run.push(c);
        }
        if let Some(line) = lines.last_mut().filter(|_| !run.is_empty()) {
            line.push(Span::styled(run, *style));
        }
    }
    lines.into_iter().map(Line::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_where_lines_are_full() {
        let pieces = [
            ("abc".to_owned(), Style::new()),
            ("defg漢".to_owned(), Style::new().fg(ratatui::style::Color::Red)),
        ];
        let lines: Vec<String> = wrap(&pieces, 4).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["abcd", "efg", "漢"]);
    }
}
