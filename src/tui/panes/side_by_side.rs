//! Side by side: the cell under the cursor as heatmaps.
//!
//! ```text
//! ─ layer 7 · position 5 · Qcur_rope ───────────────────────────
//! reference       candidate       difference ×100
//! ▓▓░░▓▒▒░▓       ▓▓░░▓▒▒░▓       ·····█·█·
//! ▓▓░░▓▒▒░▓       ▓▓░░▓▒▒░▓       ·····█·█·
//! -2.1 ▓▓▓▓░░░░▓▓▓▓ +2.1   [64×32], 4 channels a cell
//! nmse 3.1e-2  cos .9841  214× noise  max |Δ| 0.31 at 17
//! ```
//!
//! Reference and candidate share one scale. The difference is drawn on the same scale, enlarged by
//! the power of ten that its heading names, so that small ones are seen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::fold::largest;
use super::grid::{Grid, Plan, Room};
use super::scale::{self, difference, enlargement};
use super::{Context, frame, heading, put, span};
use crate::compare::CellState;
use crate::figures;
use crate::figures::figure;
use crate::session::Focus;
use crate::session::aligned;
use crate::trace::Tensor;
use crate::tui::app::Shown;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::wording;

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let cursor = app.cursor();
    let place = match cursor.checkpoint.layer_index() {
        Some(layer) => {
            format!("layer {layer} · position {} · {}", cursor.position, cursor.checkpoint.site().name())
        }
        None => format!("position {} · {}", cursor.position, cursor.checkpoint.site().name()),
    };
    let shown = app.shown();
    let empty = app.axis().is_empty();
    let right = match shown {
        Shown::Current(_) => span(cursor.checkpoint.site().info().meaning, theme.style(Role::Dim)),
        _ => span("reading …", theme.bold(Role::Caution)),
    };
    let right = Line::from(right);
    let title = heading(context, PaneKind::SideBySide, if empty { "side by side" } else { &place });
    let inner = frame(context, PaneKind::SideBySide, &title, (!empty).then_some(&right), area, buf);
    if inner.is_empty() {
        return;
    }
    let Some(focus) = shown.any() else {
        put(buf, inner, 0, &Line::from(span("nothing to show yet", theme.style(Role::Dim))));
        return;
    };
    let metrics_row = inner.height - 1;
    if inner.height > 1 {
        let legend_rows = u16::from(inner.height > 4);
        let maps = Rect { height: inner.height - 1 - legend_rows, ..inner };
        let drawn = draw_maps(context, focus, maps, buf);
        if legend_rows > 0
            && let Some((plan, limit, shape)) = drawn
        {
            put(buf, inner, metrics_row - 1, &legend(context, plan, limit, &shape, inner.width));
        }
    }
    let full = metrics(context, focus, false);
    let fits = full.width() <= inner.width as usize;
    put(buf, inner, metrics_row, &if fits { full } else { metrics(context, focus, true) });
    if !shown.is_current() {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

fn draw_maps(
    context: Context<'_>,
    focus: &Focus,
    area: Rect,
    buf: &mut Buffer,
) -> Option<(Plan, f32, String)> {
    let theme = context.theme;
    let gap = 2;
    let width = area.width.saturating_sub(2 * gap) / 3;
    let (reference, candidate) = aligned(focus);
    let any = reference.as_deref().or(candidate.as_deref());
    let Some(any) = any else {
        let why = match context.app.cell() {
            Some(CellState::Unreadable) => "its values were promised by the trace and are not there",
            _ => "neither side has recorded this cell",
        };
        put(buf, area, 0, &Line::from(span(why, theme.style(Role::Dim))));
        return None;
    };
    if width == 0 || area.height < 2 {
        return None;
    }
    let empty = Tensor::default();
    let sides = (reference.as_deref(), candidate.as_deref());
    let (reference, candidate) = (sides.0.unwrap_or(&empty), sides.1.unwrap_or(&empty));
    let limit = largest(&reference.values).max(largest(&candidate.values));
    let promised: usize = any.shape.iter().map(|&n| n as usize).product();
    // A shape is a claim; what is drawn never exceeds the values by much.
    let len = promised.clamp(any.values.len(), any.values.len().max(1) * 4);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let room = Room::new(context, Rect { width, ..body });
    let plan = room.plan(|columns, rows| Plan::new(&any.shape, len, columns, rows));
    let channel = context.app.view().info().shows.channel.then(|| context.app.cursor().channel);
    let both = reference.values.len().min(candidate.values.len());
    let delta = |c: usize| difference(reference.values[c], candidate.values[c]);
    let worst = (0..both).map(delta).map(f32::abs).filter(|d| d.is_finite()).fold(0.0, f32::max);
    let power = enlargement(worst, limit);
    let heading = |text: String, role: Role| Line::from(span(&text, theme.bold(role)));
    let columns: [(String, Role, Option<Grid>, f32); 3] = [
        ("reference".to_owned(), Role::Reference, grid(plan, sides.0), limit),
        ("candidate".to_owned(), Role::Candidate, grid(plan, sides.1), limit),
        (
            if power == 0 { "difference".to_owned() } else { format!("diff. ×{}", 10u64.pow(power)) },
            Role::Text,
            (both > 0).then(|| Grid::new(plan, both, delta)),
            limit / 10f32.powi(power as i32),
        ),
    ];
    for (i, (text, role, grid, limit)) in columns.into_iter().enumerate() {
        let x = area.x + i as u16 * (width + gap);
        put(buf, Rect { x, width, ..area }, 0, &heading(text, role));
        let place = Rect { x, width, ..body };
        match grid {
            Some(grid) => grid.draw(context, limit, channel, place, buf),
            None => put(buf, place, 0, &Line::from(span("not recorded", theme.style(Role::Missing)))),
        }
    }
    let shape: Vec<String> = any.shape.iter().map(ToString::to_string).collect();
    Some((plan, limit, shape.join("×")))
}

fn grid(plan: Plan, tensor: Option<&Tensor>) -> Option<Grid> {
    let tensor = tensor?;
    Some(Grid::new(plan, tensor.values.len(), |c| tensor.values[c]))
}

/// The scale and what a cell of the picture stands for.
fn legend(context: Context<'_>, plan: Plan, limit: f32, shape: &str, width: u16) -> Line<'static> {
    let per_cell = match plan.channels_per_cell() {
        1 => String::new(),
        n => format!(", {n} channels a cell"),
    };
    let shape = format!("[{shape}]");
    scale::legend(context.theme, limit, &[&format!("{shape}{per_cell}"), &shape], width)
}

/// The cell's figures; `terse` for narrow panes.
fn metrics(context: Context<'_>, focus: &Focus, terse: bool) -> Line<'static> {
    let theme = context.theme;
    // The comparison may have learnt more since the values were read.
    let (metrics, severity) = match context.app.cell() {
        Some(CellState::Compared { metrics, severity, .. }) if context.app.shown().is_current() => {
            (Some(metrics), Some(severity))
        }
        _ => (focus.metrics, focus.severity),
    };
    let Some(metrics) = metrics else {
        let why = match (&focus.reference, &focus.candidate) {
            (Some(_), None) => "the candidate has not recorded it",
            (None, Some(_)) => "the reference has not recorded it",
            (None, None) => "",
            (Some(_), Some(_)) => "the shapes cannot be compared",
        };
        return Line::from(span(why, theme.style(Role::Missing)));
    };
    let dim = theme.style(Role::Dim);
    let value = theme.style(Role::Text);
    let mut spans = Vec::new();
    if let Some(severity) = severity {
        let role = if severity.is_beyond_noise() { Role::Bad } else { Role::Good };
        let noise = if terse { "" } else { " noise" };
        spans.push(span(&format!("{}{noise}", wording::times(severity)), theme.bold(role)));
    }
    let nonfinite = metrics.nonfinite_reference + metrics.nonfinite_candidate;
    if nonfinite > 0 {
        let said = format!(
            "  not finite: {} ref, {} cand",
            metrics.nonfinite_reference, metrics.nonfinite_candidate
        );
        spans.push(span(&said, theme.bold(Role::Nonfinite)));
    }
    let largest = figure(metrics.max_abs as f64);
    let (gap, largest) = if terse {
        (" ", ("Δ", format!("{largest}@{}", metrics.max_at)))
    } else {
        ("  ", ("max|Δ|", format!("{largest} at {}", metrics.max_at)))
    };
    for (name, text) in [("nmse", figure(metrics.nmse)), ("cos", figures::cosine(metrics.cosine)), largest] {
        spans.push(span(&format!("{gap}{name} "), dim));
        spans.push(span(&text, value));
    }
    if metrics.compared < metrics.of {
        spans.push(span(
            &format!("  {} of {} values", metrics.compared, metrics.of),
            theme.bold(Role::Caution),
        ));
    }
    Line::from(spans)
}
