//! Garbage: values that no correct pass produces, at the cursor's position and elsewhere.
//!
//! ```text
//! ─ garbage ─────────────────────── 3 here, 12 in all ─
//! N candidate  nan   Kcur-3  from 17, 4 values
//!   evidence …
//! elsewhere: 5 (nan), 7 (heap-pointer)
//! ```

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::tokens::blame_style;
use super::{Context, frame, heading, span, text};
use crate::garbage::Blame;
use crate::tui::app::findings;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Positions that are listed.
const LISTED: usize = 100;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let here = app.marks(app.cursor().position).map(|m| &*m.column);
    let count_here = here.map_or(0, |c| findings(c).count());
    let snapshot = app.snapshot();
    let all: usize =
        snapshot.columns.iter().map(|c| c.garbage_reference.len() + c.garbage_candidate.len()).sum();
    let title = heading(context, PaneKind::Garbage, "garbage");
    let right = span(&format!("{count_here} here, {all} in all"), theme.style(Role::Dim));
    let inner = frame(context, PaneKind::Garbage, &title, Some(&Line::from(right)), area, buf);
    let mut lines = Vec::new();
    for (side, finding) in here.into_iter().flat_map(findings).take(LISTED) {
        let fault = match finding.blame {
            Blame::Engine => "the engine's",
            Blame::Instrument => "the logger's",
            Blame::Nobody => "nobody's fault",
        };
        let glyph = if finding.glyph.is_control() { '!' } else { finding.glyph };
        lines.push(Line::from(vec![
            Span::styled(format!("{glyph} {side} "), blame_style(context, finding.blame)),
            span(finding.class, theme.bold(Role::Text)),
            span(
                &format!(
                    "  {}  channel {}, {} values  {fault}",
                    finding.checkpoint, finding.first_channel, finding.count
                ),
                theme.style(Role::Dim),
            ),
        ]));
        lines.push(Line::from(span(&format!("  {}", finding.evidence), theme.style(Role::Text))));
    }
    if lines.is_empty() {
        lines.push(Line::from(span("none at this position", theme.style(Role::Dim))));
    }
    let mut elsewhere: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for column in &snapshot.columns {
        for (_, finding) in findings(column) {
            let positions = elsewhere.entry(finding.class).or_default();
            if positions.last() != Some(&column.position) {
                positions.push(column.position);
            }
        }
    }
    for (class, positions) in elsewhere {
        let more = if positions.len() > LISTED { " …" } else { "" };
        let list: Vec<String> = positions.iter().take(LISTED).map(ToString::to_string).collect();
        lines.push(Line::from(vec![
            span(&format!("{class}: "), theme.bold(Role::Text)),
            span(&format!("positions {}{more}", list.join(" ")), theme.style(Role::Dim)),
        ]));
    }
    text(context, PaneKind::Garbage, lines, inner, buf);
}
