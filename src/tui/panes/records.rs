//! The newest records of both runs as they arrive, and how quickly.
//!
//! ```text
//! ─ records ─────────────────────────────────────── following ─
//! reference  12345 records · 56.1 MB · 310/s · 1.2 MB/s
//! candidate  …
//!        time  side   pos  checkpoint     engine's name   type  shape      bytes
//! ▸  +12.345s  ref     17  Kcur_rope-3    Kcur-3 (view)   f32   64×8        2048
//! ```

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::list::{self, Column, List, number, text};
use super::{Context, span};
use crate::figures;
use crate::session::status;
use crate::session::{RunState, SourceState, Which};
use crate::tui::app::Action;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::words;

const PANE: PaneKind = PaneKind::Records;

const COLUMNS: [Column; 8] = [
    number("time", 8),
    text("side", 4),
    number("pos", 5),
    text("checkpoint", 13),
    text("engine's name", 13),
    text("type", 4),
    text("shape", 8),
    number("bytes", 7),
];

/// The same with more room, and the operation.
const WIDE: [Column; 9] = [
    number("time", 11),
    text("side", 9),
    number("pos", 6),
    text("checkpoint", 18),
    text("engine's name", 24),
    text("type", 4),
    text("shape", 14),
    number("bytes", 9),
    text("operation", 20),
];

fn columns(width: u16) -> &'static [Column] {
    if width >= 114 { &WIDE } else { &COLUMNS }
}

/// Lines above the rows.
fn above(area: Rect) -> u16 {
    if area.height >= 8 { 3 } else { 1 }
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let seen: u64 = app.snapshot().records.seen.iter().sum();
    let right = match (app.follows_records(), app.chosen(PANE)) {
        (_, None) => None,
        (true, _) => Some((format!("the newest of {seen}"), Role::Dim)),
        (false, Some(_)) => Some(("stopped here · G follows the newest".to_owned(), Role::Caution)),
    };
    let right = right.map(|(text, role)| Line::from(span(&text, theme.style(role))));
    let heading =
        if above(area) > 1 { Which::BOTH.map(|side| rate(context, side)).to_vec() } else { Vec::new() };
    let columns = columns(area.width);
    let none = ("no record has arrived yet", Role::Dim);
    let list = List { pane: PANE, columns, right, none, heading };
    list.draw(context, area, buf, |row, room| {
        let Some(arrived) = app.record(row) else { return Line::default() };
        let record = &arrived.record;
        let (dim, plain) = (theme.style(Role::Dim), theme.style(Role::Text));
        let since = app.rates().start().map(|start| arrived.at.saturating_duration_since(start));
        let side =
            if room >= 110 { arrived.side.to_string() } else { words::short_side(arrived.side).to_owned() };
        let shape: Vec<String> = record.shape.iter().take(4).map(ToString::to_string).collect();
        let cells: [(String, Style); 9] = [
            (since.map(time).unwrap_or_default(), dim),
            (side, theme.style(words::side_role(arrived.side))),
            (record.position.to_string(), plain),
            (record.checkpoint.to_string(), plain),
            (record.tensor.as_deref().unwrap_or("-").to_owned(), plain),
            (record.dtype.to_string(), dim),
            (shape.join("×"), plain),
            (record.bytes.to_string(), plain),
            (record.op.as_deref().unwrap_or("-").to_owned(), dim),
        ];
        list::line(columns, &cells, room)
    });
}

/// `candidate  12345 records · 56.1 MB · 310/s · 1.2 MB/s`.
fn rate(context: Context<'_>, side: Which) -> Line<'static> {
    let (app, theme) = (context.app, context.theme);
    let snapshot = app.snapshot();
    let status = match side {
        Which::Reference => &snapshot.reference,
        Which::Candidate => &snapshot.candidate,
    };
    let rates = app.rates();
    let seen = snapshot.records.seen[side.index()];
    let arrives = match status.state {
        SourceState::Live => true,
        SourceState::Ready => snapshot.run == RunState::Running,
        _ => false,
    };
    let more = match rates.of(side) {
        Some((records, bytes)) if arrives => format!(" · {records:.0}/s · {}/s", megabytes(bytes)),
        _ if seen > 0 => format!(" · {}", status::state(status)),
        _ => String::new(),
    };
    let text = format!("{seen} records · {}{more}", megabytes(rates.bytes(side)));
    Line::from(vec![
        span(&format!("{side}  "), theme.bold(words::side_role(side))),
        span(&text, theme.style(Role::Text)),
    ])
}

fn megabytes(bytes: f64) -> String {
    format!("{} MB", figures::figure(bytes / 1e6))
}

/// `12.345 s`, from a quarter of an hour on `1:02:03 h`.
fn time(since: Duration) -> String {
    let seconds = since.as_secs();
    if seconds < 1000 {
        format!("{:.2} s", since.as_secs_f64())
    } else {
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// The record at (x, y).
pub fn hit(context: Context<'_>, area: Rect, _: u16, y: u16) -> Option<Action> {
    list::hit(context, PANE, list::body(area, above(area)), y)
}
