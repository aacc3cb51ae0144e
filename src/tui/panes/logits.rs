//! Logits: the most likely next tokens of both sides.
//!
//! ```text
//! ─ logits ────────────── KL 0.412 · first differs · 7/8 · margin 1.3 ─
//! reference                 candidate                    Δ rank
//! over    .62 █████         over    .31 ███              =
//! under   .11 ▉             past    .22 ██               ▲3
//! ```
//!
//! The change of rank is the candidate's token's: `▲3` stands three places higher than in the reference.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Context, frame, heading, put, span};
use crate::compare::TopEntry;
use crate::figures::{figure, probability};
use crate::session::Focus;
use crate::text::safe;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let shown = app.shown();
    // Logits belong to a position; another checkpoint of the same position changes nothing.
    let focus = shown.any();
    let current = focus.is_some_and(|f| f.position == app.cursor().position);
    let right = focus.and_then(|f| figures(context, f));
    let title = heading(context, PaneKind::Logits, "logits");
    let inner = frame(context, PaneKind::Logits, &title, right.as_ref(), area, buf);
    let Some(focus) = focus.filter(|_| !inner.is_empty()) else { return };
    if focus.top.reference.is_empty() && focus.top.candidate.is_empty() {
        put(buf, inner, 0, &Line::from(span("no logits at this position", theme.style(Role::Dim))));
        return;
    }
    let rank_width = 5;
    let width = inner.width.saturating_sub(rank_width + 3) / 2;
    let left = Rect { width, ..inner };
    let middle = Rect { x: inner.x + width + 2, width, ..inner };
    let end =
        Rect { x: (middle.right() + 1).min(inner.right()), width: rank_width.min(inner.width), ..inner };
    let end = end.intersection(inner);
    put(buf, left, 0, &Line::from(span("reference", theme.bold(Role::Reference))));
    put(buf, middle, 0, &Line::from(span("candidate", theme.bold(Role::Candidate))));
    put(buf, end, 0, &Line::from(span("Δrank", theme.style(Role::Dim))));
    let rows = inner.height.saturating_sub(1);
    let longest = focus.top.reference.len().max(focus.top.candidate.len());
    let scroll = (app.scroll(PaneKind::Logits) as usize).min(longest.saturating_sub(rows as usize));
    for y in 0..rows {
        let i = y as usize + scroll;
        if let Some(entry) = focus.top.reference.get(i) {
            row(context, focus, entry, Role::Reference, left, y + 1, buf);
        }
        if let Some(entry) = focus.top.candidate.get(i) {
            row(context, focus, entry, Role::Candidate, middle, y + 1, buf);
            put(buf, end, y + 1, &Line::from(rank_change(context, i as u32, entry.other_rank)));
        }
    }
    if !current {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

pub(super) fn figures(context: Context<'_>, focus: &Focus) -> Option<Line<'static>> {
    let theme = context.theme;
    let logits = focus.logits?;
    let same = if logits.top1_agrees { ("same first", Role::Good) } else { ("first differs", Role::Bad) };
    let dim = theme.style(Role::Dim);
    Some(Line::from(vec![
        span(&format!("KL {}", figure(logits.kl)), theme.style(Role::Text)),
        span(&format!(" · {}", same.0), theme.bold(same.1)),
        span(&format!(" · {}/{}", logits.overlap, logits.k), dim),
        span(&format!(" · margin {}", figure(logits.margin as f64)), dim),
    ]))
}

fn row(
    context: Context<'_>,
    focus: &Focus,
    entry: &TopEntry,
    role: Role,
    area: Rect,
    y: u16,
    buf: &mut Buffer,
) {
    let theme = context.theme;
    let piece =
        focus.pieces.iter().find(|(id, _)| *id == entry.token).map(|(_, text)| safe(text).into_owned());
    let piece = piece.filter(|p| !p.is_empty()).unwrap_or_else(|| format!("[{}]", entry.token));
    let name_width = (area.width / 2).clamp(4, 16).min(area.width);
    put(buf, Rect { width: name_width, ..area }, y, &Line::from(visible_spaces(context, &piece)));
    let rest = Rect { x: area.x + name_width, width: area.width - name_width, ..area };
    let number = probability(entry.probability);
    put(buf, rest, y, &Line::from(span(&format!(" {number}"), theme.style(Role::Text))));
    let used = 2 + number.width() as u16;
    let bar_area = Rect { x: rest.x + used.min(rest.width), width: rest.width.saturating_sub(used), ..rest };
    let bar = bar(entry.probability, bar_area.width as usize);
    put(buf, bar_area, y, &Line::from(span(&bar, theme.style(role))));
}

/// A leading or trailing space of a token matters, so it is shown.
pub(super) fn visible_spaces(context: Context<'_>, piece: &str) -> Vec<Span<'static>> {
    let text = context.theme.style(Role::Text);
    let dim = context.theme.style(Role::Dim);
    let core = piece.trim_matches(' ');
    let lead = piece.len() - piece.trim_start_matches(' ').len();
    let trail = if core.is_empty() { 0 } else { piece.len() - lead - core.len() };
    vec![
        Span::styled("␣".repeat(lead.min(8)), dim),
        span(core, text),
        Span::styled("␣".repeat(trail.min(8)), dim),
    ]
}

/// A bar of eighths of a character.
pub(super) fn bar(share: f32, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f32 * 8.0).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

fn rank_change(context: Context<'_>, rank: u32, reference_rank: Option<u32>) -> Span<'static> {
    let theme = context.theme;
    match reference_rank {
        None => span("new", theme.bold(Role::Bad)),
        Some(before) if before == rank => span("=", theme.style(Role::Dim)),
        Some(before) if before > rank => span(&format!("▲{}", before - rank), theme.bold(Role::Caution)),
        Some(before) => span(&format!("▼{}", rank - before), theme.bold(Role::Caution)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_exact_to_an_eighth() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.0, 3), "███");
        assert_eq!(bar(2.0, 3), "███");
        assert_eq!(bar(f32::NAN, 3), "");
        assert_eq!(bar(1.0 / 16.0, 2), "▏");
    }
}
