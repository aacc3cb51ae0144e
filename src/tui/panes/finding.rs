//! The chosen finding in full: its evidence, the values with their bits, and what its class is.
//!
//! ```text
//! ─ finding ──────────────────────────
//! nan · position 17 · Kcur-3 · candidate
//! …
//! channel   candidate        bits   reference       bits
//!     112         NaN  7fc00000        1.234e0  3f9df3b6
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::findings::whose;
use super::{Context, frame, heading, span, text};
use crate::figures::{count, percent};
use crate::garbage;
use crate::session::Which;
use crate::trace::Tensor;
use crate::tui::app::lists::Found;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Values that are listed.
const LISTED: usize = 32;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let title = heading(context, PaneKind::Finding, PaneKind::Finding.name());
    let inner = frame(context, PaneKind::Finding, &title, None, area, buf);
    let Some(found) = app.chosen(PaneKind::Findings).and_then(|row| app.finding(row)) else { return };
    let (finding, plain) = (found.finding, theme.style(Role::Text));
    let (class, checkpoint) = (finding.class, finding.checkpoint);
    let head = format!("{class} · position {} · {checkpoint} · {}", found.position, found.side);
    let facts = format!(
        "{} from channel {} on · {} sure · {}",
        count(finding.count as usize, "value"),
        finding.first_channel,
        percent(finding.confidence.into()),
        match whose(finding.blame) {
            "nobody" => "nobody's fault".to_owned(),
            who => format!("the {who}'s fault"),
        },
    );
    let mut lines = vec![
        Line::from(span(&head, theme.bold(Role::Nonfinite))),
        Line::from(span(&finding.evidence, plain)),
        Line::from(span(&facts, theme.style(Role::Dim))),
    ];
    lines.extend(values(context, &found, inner.width));
    if let Some(class) = garbage::class(class) {
        lines.push(Line::from(span(class.explain(), theme.style(Role::Dim))));
    }
    text(context, PaneKind::Finding, lines, inner, buf);
}

/// The values from the finding's first channel on, its own side first.
fn values(context: Context<'_>, found: &Found<'_>, width: u16) -> Vec<Line<'static>> {
    let theme = context.theme;
    let dim = theme.style(Role::Dim);
    let Some(focus) = context.app.values_at(found.position, found.finding.checkpoint) else {
        return vec![Line::from(span("reading the values …", dim))];
    };
    let (own, other, names) = match found.side {
        Which::Reference => (&focus.reference, &focus.candidate, ["reference", "candidate"]),
        Which::Candidate => (&focus.candidate, &focus.reference, ["candidate", "reference"]),
    };
    let Some(own) = own else {
        return vec![Line::from(span("its values are not there", dim))];
    };
    let both = width >= 52 && other.is_some();
    let row = |channel: &str, a: [&str; 2], b: [&str; 2]| {
        let other = if both { format!("  {:>11}  {:>8}", b[0], b[1]) } else { String::new() };
        format!("{channel:>7}  {:>11}  {:>8}{other}", a[0], a[1])
    };
    let mut lines = vec![Line::from(span(&row("channel", [names[0], "bits"], [names[1], "bits"]), dim))];
    let from = found.finding.first_channel as usize;
    let to = from.saturating_add(LISTED.min(found.finding.count as usize)).min(own.values.len());
    for channel in from..to {
        let texts = |tensor: Option<&Tensor>| match tensor.and_then(|t| t.values.get(channel)) {
            Some(v) => [value(*v), format!("{:08x}", v.to_bits())],
            None => ["-".to_owned(), "-".to_owned()],
        };
        let (a, b) = (texts(Some(own)), texts(other.as_ref()));
        let text = row(&channel.to_string(), [&a[0], &a[1]], [&b[0], &b[1]]);
        let role = if own.values[channel].is_finite() { Role::Text } else { Role::Nonfinite };
        lines.push(Line::from(span(&text, theme.style(role))));
    }
    lines
}

fn value(v: f32) -> String {
    if v.is_finite() { format!("{v:.4e}") } else { v.to_string() }
}
