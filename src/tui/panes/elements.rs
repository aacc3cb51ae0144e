//! Worst elements: the cursor's channel, then the values that differ most, with their bits.
//!
//! ```text
//! ─ worst elements ─────────────────────────────── channel 17 ─
//!     at   reference   candidate         Δ        ULP  bits
//!     17    1.2345e0    1.5432e0   3.09e-1    2589427  3f9e0419 3fc58794
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::{Context, frame, heading, put, span};
use crate::session::aligned;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::worst::{ulps, value, worst};

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let channel = app.cursor().channel;
    let title = heading(context, PaneKind::Elements, "worst elements");
    let right = Line::from(span(&format!("channel {channel}"), theme.bold(Role::Accent)));
    let inner = frame(context, PaneKind::Elements, &title, Some(&right), area, buf);
    let shown = app.shown();
    let (reference, candidate) = shown.any().map(aligned).unwrap_or_default();
    let (Some(reference), Some(candidate)) = (reference.as_deref(), candidate.as_deref()) else {
        put(buf, inner, 0, &Line::from(span("both sides are needed for this", theme.style(Role::Dim))));
        return;
    };
    // What the width does not hold goes: first the bits, then the difference.
    let (bits, delta) = (inner.width >= 67, inner.width >= 49);
    let columns = |texts: [&str; 6]| {
        let [channel, a, b, change, ulps, hex] = texts;
        let change = if delta { format!(" {change:>9}") } else { String::new() };
        let hex = if bits { format!("  {hex}") } else { String::new() };
        format!("{channel:>6} {a:>11} {b:>11}{change} {ulps:>10}{hex}")
    };
    let head = columns(["at", "reference", "candidate", "Δ", "ULP", "bits"]);
    put(buf, inner, 0, &Line::from(span(&head, theme.style(Role::Dim))));
    let worst = worst(reference, candidate);
    let rows = inner.height.saturating_sub(1) as usize;
    let under_cursor = (channel as usize) < reference.values.len().min(candidate.values.len());
    let pinned = under_cursor.then_some(channel as usize);
    let scroll = (app.scroll(PaneKind::Elements) as usize).min(worst.len().saturating_sub(rows));
    let listed = worst.iter().copied().skip(scroll).filter(|c| Some(*c) != pinned);
    for (y, c) in pinned.into_iter().chain(listed).take(rows).enumerate() {
        let (a, b) = (reference.values[c], candidate.values[c]);
        let ulps = ulps(a, b).map_or_else(|| "-".to_owned(), |n| n.to_string());
        let hex = format!("{:08x} {:08x}", a.to_bits(), b.to_bits());
        let text = columns([&c.to_string(), &value(a, 4), &value(b, 4), &value(b - a, 2), &ulps, &hex]);
        let role = match (a.is_finite() && b.is_finite(), Some(c) == pinned) {
            (false, _) => Role::Nonfinite,
            (true, true) => Role::Accent,
            (true, false) => Role::Text,
        };
        put(buf, inner, y as u16 + 1, &Line::from(span(&text, theme.style(role))));
    }
    if !shown.is_current() {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}
