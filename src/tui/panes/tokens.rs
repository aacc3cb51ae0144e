//! Tokens: the strip of text, a flag under every token.
//!
//! ```text
//! ─ tokens ─────────── position 5 · garbage: candidate nan · “jumps” · id 14432 ─
//! The quick brown fox jumps over
//! ·   ·     ·     ·   ▲     !
//! ```
//!
//! `·` within noise, `◆` the first divergence, `◇` an error enters here too, `▲` beyond noise, a
//! class's letter where garbage was found, nothing where nothing was compared. `●` beside it: a
//! breakpoint.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Context, frame, heading, span};
use crate::garbage::Blame;
use crate::palette::Shade;
use crate::text::{safe, safe_short};
use crate::tui::app::{Action, ColumnMarks, Slot, findings};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// A run pauses at this position.
pub(super) const BREAKPOINT: &str = "●";

/// Longest token that is shown in full.
const LONGEST: usize = 24;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    let inner = if area.height >= 3 {
        let right = about(context);
        let title = heading(context, PaneKind::Tokens, "tokens");
        frame(context, PaneKind::Tokens, &title, Some(&right), area, buf)
    } else {
        Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area }
    };
    if inner.is_empty() {
        return;
    }
    for (slot, x, width) in visible(context, inner) {
        let place = Rect { x, width, ..inner };
        let at_cursor = slot.position == context.app.cursor().position;
        super::put(buf, place, 0, &Line::from(piece(context, slot, at_cursor)));
        let (flag, style) = flag(context, slot);
        super::put(buf, place, 1, &Line::from(Span::styled(flag.to_string(), style)));
        // Beside the flag where the token is wide enough, else in place of one that says nothing.
        let beside = u16::from(width > 1);
        if context.app.breaks_at(slot.position) && (beside == 1 || [' ', '·'].contains(&flag)) {
            let sign = Span::styled(BREAKPOINT, context.theme.bold(Role::Caution));
            super::put(buf, Rect { x: x + beside, width: 1, ..place }, 1, &Line::from(sign));
        }
    }
}

/// The position at column `x` of the strip.
pub fn hit(context: Context<'_>, area: Rect, x: u16, _: u16) -> Option<Action> {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    let inner = if area.height >= 3 { Rect { x: inner.x, ..inner } } else { inner };
    visible(context, inner)
        .into_iter()
        .find(|&(_, left, width)| (left..left + width).contains(&x))
        .map(|(slot, ..)| Action::SelectPosition(slot.position))
}

fn text(context: Context<'_>, slot: Slot) -> String {
    match context.app.token(slot) {
        Some(token) if !token.text.is_empty() => safe_short(&token.text, LONGEST),
        Some(token) => token.id.map_or_else(|| "?".to_owned(), |id| format!("[{id}]")),
        None => format!("[{}]", slot.position),
    }
}

fn width_of(text: &str) -> u16 {
    // A token of no width still needs a place for its flag.
    text.width().clamp(1, 4 * LONGEST) as u16
}

/// Tokens that fit, with the anchor's in about the middle: slot, left edge, width.
fn visible(context: Context<'_>, inner: Rect) -> Vec<(Slot, u16, u16)> {
    let axis = context.app.axis();
    let Some(here) = context.app.slot(context.app.anchor().position) else { return Vec::new() };
    let width = |i: usize| width_of(&text(context, axis[i]));
    let (mut first, mut used) = (here, width(here));
    // Half of the room goes to what came before; more, if little comes after.
    let after: u16 = (here + 1..axis.len())
        .map(width)
        .scan(0u16, |sum, w| {
            *sum = sum.saturating_add(w);
            (*sum <= inner.width / 2).then_some(*sum)
        })
        .last()
        .unwrap_or(0);
    while first > 0 && used + width(first - 1) + after <= inner.width {
        first -= 1;
        used += width(first);
    }
    let mut x = inner.x;
    let mut out = Vec::new();
    for &slot in &axis[first..] {
        let width = width_of(&text(context, slot)).min(inner.right().saturating_sub(x));
        if width == 0 {
            break;
        }
        out.push((slot, x, width));
        x += width;
    }
    out
}

fn piece(context: Context<'_>, slot: Slot, at_cursor: bool) -> Span<'static> {
    let theme = context.theme;
    let from_prompt = context.app.token(slot).is_none_or(|t| t.from_prompt);
    let style = match (at_cursor, from_prompt) {
        (true, _) => theme.bar(Role::Accent),
        (false, true) => theme.style(Role::Dim),
        (false, false) => theme.style(Role::Text),
    };
    // Neighbouring tokens are told apart even where the text runs on.
    let style =
        if slot.position % 2 == 1 && !at_cursor { style.add_modifier(Modifier::UNDERLINED) } else { style };
    Span::styled(text(context, slot), style)
}

fn flag(context: Context<'_>, slot: Slot) -> (char, Style) {
    let theme = context.theme;
    let Some(marks) = context.app.slot_marks(slot) else { return (' ', Style::new()) };
    if let Some((glyph, blame)) = marks.garbage {
        let glyph = if glyph.is_control() { '!' } else { glyph };
        return (glyph, blame_style(context, blame));
    }
    match (marks.all.shade, marks.all.origin) {
        (Shade::Empty, _) => (' ', Style::new()),
        (Shade::Beyond(_) | Shade::Infinite, true) => {
            let first = context.app.first().is_some_and(|(position, _)| position == slot.position);
            (if first { '◆' } else { '◇' }, theme.bold(Role::Bad))
        }
        (Shade::Beyond(_) | Shade::Infinite, false) => ('▲', theme.bold(Role::Bad)),
        (Shade::Within(_), _) => ('·', theme.style(Role::Good)),
        (Shade::Missing, _) => ('○', theme.style(Role::Missing)),
        (Shade::Mismatch, _) => ('≠', theme.style(Role::Mismatch)),
    }
}

pub(super) fn blame_style(context: Context<'_>, blame: Blame) -> Style {
    context.theme.bold(match blame {
        Blame::Engine => Role::Nonfinite,
        Blame::Instrument => Role::Caution,
        Blame::Nobody => Role::Dim,
    })
}

/// What there is to say about the cursor's token.
fn about(context: Context<'_>) -> Line<'static> {
    let theme = context.theme;
    let app = context.app;
    let position = app.cursor().position;
    let mut spans = vec![span(&format!("position {position}"), theme.bold(Role::Accent))];
    if let Some(said) = app.marks(position).and_then(garbage) {
        spans.push(span(&format!(" · garbage: {said}"), theme.bold(Role::Nonfinite)));
    }
    let token = app.slot(position).and_then(|i| app.token(app.axis()[i]));
    if let Some(token) = token {
        let text = safe(&token.text);
        let id = token.id.map(|id| format!(" · id {id}")).unwrap_or_default();
        spans.push(span(&format!(" · “{}”{id}", safe_short(&text, LONGEST)), theme.style(Role::Text)));
    }
    Line::from(spans)
}

fn garbage(marks: &ColumnMarks) -> Option<String> {
    let (side, first) = findings(&marks.column).next()?;
    let count = findings(&marks.column).count();
    let more = if count > 1 { format!(" +{}", count - 1) } else { String::new() };
    Some(format!("{side} {}{more}", first.class))
}
