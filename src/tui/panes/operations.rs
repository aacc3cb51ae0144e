//! Operations that a diagnosis calls faulty, in order of execution.
//!
//! ```text
//! ─ faulty operations ──────────────────────────────────── 1 of 6 ─
//!    side       checkpoint      worst at  positions  mistake
//! ▸  candidate  Qcur_rope-0           17  64 of 64   rope-pairing
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Context;
use super::list::{self, Column, List, number, text};
use crate::session::{DiagnosisState, Faulty};
use crate::tui::app::Action;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::words;

const PANE: PaneKind = PaneKind::Operations;

const COLUMNS: [Column; 5] = [
    text("side", 9),
    text("checkpoint", 15),
    text("mistake", 20),
    text("positions", 12),
    number("worst at", 8),
];

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let none = match &app.snapshot().diagnosis {
        DiagnosisState::Done(_) => ("none", Role::Good),
        DiagnosisState::Running { .. } => ("still being looked for", Role::Dim),
        _ => ("not looked for yet: D diagnoses", Role::Dim),
    };
    let list = List { pane: PANE, columns: &COLUMNS, right: None, none, heading: Vec::new() };
    list.draw(context, area, buf, |row, room| {
        let Some(faulty) = app.operation(row) else { return Line::default() };
        let cells: [(String, Style); 5] = [
            (faulty.side.to_string(), theme.style(words::side_role(faulty.side))),
            (faulty.checkpoint.to_string(), theme.bold(Role::Text)),
            (mistake(faulty), theme.bold(if faulty.instrument { Role::Caution } else { Role::Bad })),
            (words::positions(&faulty.positions), theme.style(Role::Dim)),
            (faulty.worst_at.to_string(), theme.style(Role::Dim)),
        ];
        list::line(&COLUMNS, &cells, room)
    });
}

/// The kind of mistake in a word.
fn mistake(faulty: &Faulty) -> String {
    faulty.mistake.clone().unwrap_or_else(|| "unknown".to_owned())
}

/// The operation at (x, y).
pub fn hit(context: Context<'_>, area: Rect, _: u16, y: u16) -> Option<Action> {
    list::hit(context, PANE, list::body(area, 1), y)
}
