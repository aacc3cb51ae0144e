//! The diagnosis in sentences, how far it is while it is being made, or how to ask for one.
//!
//! ```text
//! ─ diagnosis ─────────────────────── made in 2.3 s ─
//! the candidate computes Qcur_rope wrongly: …
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Context, frame, heading, logits, put, span, text};
use crate::figures::percent;
use crate::session::{Diagnosed, DiagnosisState, RunState, Which};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::words;

const PANE: PaneKind = PaneKind::Diagnosis;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    let state = &context.app.snapshot().diagnosis;
    let mut title = heading(context, PANE, PANE.name());
    let right = match state {
        DiagnosisState::NotAsked => None,
        DiagnosisState::Running { .. } => Some(("D or Esc calls it off".to_owned(), Role::Accent)),
        DiagnosisState::Done(found) => {
            let (label, role) = label(found);
            title.spans.push(Span::raw(" "));
            title.spans.push(span(&format!(" {label} "), theme.bar(role)));
            Some((format!("made in {:.1} s · D again", found.took.as_secs_f64()), Role::Dim))
        }
        DiagnosisState::Failed(_) => Some(("failed · D again".to_owned(), Role::Bad)),
        DiagnosisState::Cancelled => Some(("called off · D again".to_owned(), Role::Caution)),
    };
    let right = right.map(|(text, role)| Line::from(span(&text, theme.style(role))));
    let inner = frame(context, PANE, &title, right.as_ref(), area, buf);
    if inner.is_empty() {
        return;
    }
    let lines = match state {
        DiagnosisState::Running { done, of, what } => return gauge(context, (*done, *of, what), inner, buf),
        DiagnosisState::Done(found) => found_lines(context, found),
        DiagnosisState::Failed(why) => {
            let mut lines = vec![Line::from(span(&format!("it failed: {why}"), theme.style(Role::Bad)))];
            lines.extend(offer(context));
            lines
        }
        DiagnosisState::NotAsked | DiagnosisState::Cancelled => offer(context),
    };
    text(context, PANE, lines, inner, buf);
}

/// What was found, in two words.
fn label(found: &Diagnosed) -> (&'static str, Role) {
    use crate::audit::Conclusion;
    let has = |conclusion| found.sides.iter().any(|side| side.conclusion == conclusion);
    if !found.faulty.is_empty() && found.faulty.iter().all(|f| f.instrument) {
        ("⚑ recorder", Role::Caution)
    } else if has(Conclusion::Faulty) {
        ("✘ FAULTY", Role::Bad)
    } else if has(Conclusion::NotEnough) {
        ("? not enough", Role::Caution)
    } else {
        ("✓ no fault", Role::Good)
    }
}

/// What a diagnosis would do now.
fn offer(context: Context<'_>) -> Vec<Line<'static>> {
    let theme = context.theme;
    let line = |text: &str, role| Line::from(span(text, theme.style(role)));
    let mut lines = vec![Line::from(vec![
        span("D", theme.bold(Role::Accent)),
        span(
            " diagnoses: which operation is wrong, what kind of mistake it is, and whose.",
            theme.bold(Role::Text),
        ),
    ])];
    lines.push(line(
        "Every operation of both runs is computed again, alone, from its own recorded inputs and the model.",
        Role::Text,
    ));
    let snapshot = context.app.snapshot();
    let positions = [&snapshot.reference, &snapshot.candidate].map(|side| side.positions);
    let (text, role) = match (positions, snapshot.run) {
        ([0, 0], _) => {
            ("Nothing is recorded yet: compute a position first (s steps, r runs).".to_owned(), Role::Caution)
        }
        ([r, c], RunState::Running) => (
            format!(
                "The engines go on meanwhile: it takes what is recorded by then, now {r} and {c} positions."
            ),
            Role::Dim,
        ),
        ([0, n], _) => (
            format!("Only the candidate is recorded: it is judged by itself, at {n} positions."),
            Role::Caution,
        ),
        ([n, 0], _) => (
            format!("Only the reference is recorded: it is judged by itself, at {n} positions."),
            Role::Caution,
        ),
        ([r, c], _) => {
            (format!("Recorded: {r} positions of the reference, {c} of the candidate."), Role::Dim)
        }
    };
    lines.push(line(&text, role));
    lines
}

fn found_lines(context: Context<'_>, found: &Diagnosed) -> Vec<Line<'static>> {
    let (theme, snapshot) = (context.theme, context.app.snapshot());
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (i, sentence) in found.sentences.iter().enumerate() {
        let role = words::role(sentence.tone);
        lines.push(Line::from(span(
            &sentence.text,
            if i == 0 { theme.bold(role) } else { theme.style(role) },
        )));
    }
    for side in &found.sides {
        let now = match side.side {
            Which::Reference => snapshot.reference.positions,
            Which::Candidate => snapshot.candidate.positions,
        };
        let grown =
            if now > side.positions { format!(", {now} by now: D makes it anew") } else { String::new() };
        lines.push(Line::from(vec![
            span(&format!("{}: ", side.side), theme.bold(words::side_role(side.side))),
            span(&format!("{} positions{grown}", side.positions), theme.style(Role::Dim)),
        ]));
        for sentence in &side.sentences {
            lines.push(Line::from(span(
                &format!("  {}", sentence.text),
                theme.style(words::role(sentence.tone)),
            )));
        }
    }
    lines
}

/// How far it is: what is being done, a bar, the share.
fn gauge(context: Context<'_>, (done, of, what): (u64, u64, &str), area: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    put(buf, area, 0, &Line::from(span(&format!("{what} …"), theme.bold(Role::Text))));
    let share = if of > 0 { done as f64 / of as f64 } else { 0.0 };
    let said =
        if of > 0 { format!("  {} · {done} of {of}", percent(share)) } else { "  counting".to_owned() };
    let room = (area.width as usize).saturating_sub(said.chars().count() + 1).min(60);
    let bar = logits::bar(share as f32, room);
    let rest = "·".repeat(room.saturating_sub(bar.chars().count()));
    let line = Line::from(vec![
        Span::styled(bar, theme.style(Role::Accent)),
        Span::styled(rest, theme.style(Role::Line)),
        span(&said, theme.style(Role::Dim)),
    ]);
    put(buf, area, 1, &line);
}
