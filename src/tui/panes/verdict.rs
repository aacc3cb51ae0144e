//! Verdict: one sentence and what it rests on.
//!
//! ```text
//! ─ verdict  ▲ DIVERGED  ───────────────────────
//! first divergence: position 5, layer 7, Qcur_rope
//! inputs agree (worst: Qcur at 1.1× noise), …
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Context, frame, heading, span, text};
use crate::session::DiagnosisState;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::words;
use crate::wording;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    let snapshot = context.app.snapshot();
    let (label, role) = words::label(&snapshot.verdict);
    let mut title = heading(context, PaneKind::Verdict, "verdict");
    title.spans.push(Span::raw(" "));
    title.spans.push(Span::styled(format!(" {label} "), theme.bar(role)));
    // What there is to do about it: ask for a diagnosis, or go to what it speaks of.
    let hint = match &snapshot.diagnosis {
        DiagnosisState::Done(_) => "v evidence",
        DiagnosisState::Running { .. } => "",
        _ => "D diagnose",
    };
    let right = Line::from(span(hint, theme.style(Role::Dim)));
    let right = (!hint.is_empty()).then_some(&right);
    let inner = frame(context, PaneKind::Verdict, &title, right, area, buf);
    let mut lines: Vec<Line<'_>> = wording::verdict(&snapshot.verdict)
        .iter()
        .enumerate()
        .map(|(i, sentence)| {
            let style = match i {
                0 => theme.bold(Role::Text),
                _ => theme.style(words::role(sentence.tone)),
            };
            Line::from(span(&sentence.text, style))
        })
        .collect();
    if let Some((text, role)) = words::diagnosis(&snapshot.diagnosis) {
        lines.insert(1.min(lines.len()), Line::from(span(&text, theme.bold(role))));
    }
    let notes = words::notes("reference", &snapshot.reference.notes)
        .into_iter()
        .chain(words::notes("candidate", &snapshot.candidate.notes));
    lines.extend(notes.map(|n| Line::from(span(&n, theme.style(Role::Dim)))));
    text(context, PaneKind::Verdict, lines, inner, buf);
}
