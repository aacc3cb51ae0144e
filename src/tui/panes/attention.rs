//! Attention: what each head looks at, on both sides, and the difference.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::grid::Room;
use super::triptych::{Places, Table, Triptych};
use super::{Context, frame, heading, inner_of, put, scale, span};
use crate::compare::cell::is_per_position;
use crate::figures::figure;
use crate::session::{Attention, Focus, Scores};
use crate::tui::app::Action;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Columns for `h 127` and a space.
const LABELS: u16 = 6;

/// The scores at hand, and whether they are those of the cursor.
fn scores(context: Context<'_>) -> Option<(&Focus, &Scores, bool)> {
    let cursor = context.app.cursor();
    let focus = context.app.shown().any()?;
    let scores = focus.scores.as_deref()?;
    let layer = |checkpoint: crate::model::Checkpoint| checkpoint.layer_index();
    let current = focus.position == cursor.position && layer(focus.checkpoint) == layer(cursor.checkpoint);
    Some((focus, scores, current))
}

/// One row a head.
fn heads(side: Option<&Attention>) -> impl Iterator<Item = &[f32]> {
    let width = side.and_then(|s| s.tensor.shape.first()).map_or(1, |&n| n.max(1) as usize);
    side.map(|s| s.tensor.values.as_slice()).unwrap_or_default().chunks(width)
}

fn prepare(scores: &Scores, room: Room) -> Triptych {
    let mut sides = [heads(scores.reference.as_ref().ok()), heads(scores.candidate.as_ref().ok())];
    let mut rows = Vec::new();
    loop {
        let row = [sides[0].next(), sides[1].next()];
        if row == [None, None] {
            break;
        }
        rows.push(row);
    }
    Triptych::new(&Table::new(rows), room)
}

fn places(inner: Rect) -> Option<Places> {
    let rest = if inner.height > 5 { 2 } else { u16::from(inner.height > 3) };
    Places::new(Rect { height: inner.height - rest, ..inner }, LABELS)
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let cursor = app.cursor();
    let found = scores(context);
    let shown = found.and_then(|(_, s, _)| s.reference.as_ref().or(s.candidate.as_ref()).ok());
    let title = match shown {
        Some(attention) => {
            format!("{} · position {}: head × position", attention.checkpoint, cursor.position)
        }
        None => "attention: head × position".to_owned(),
    };
    let what = match shown.map(|a| a.checkpoint.site().name()) {
        Some("kq") => "scores before scale and mask",
        _ => "probabilities",
    };
    let right = match found {
        Some((_, _, true)) => span(what, theme.style(Role::Dim)),
        _ => span("reading …", theme.bold(Role::Caution)),
    };
    let right = Line::from(right);
    let title = heading(context, PaneKind::Attention, &title);
    let inner =
        frame(context, PaneKind::Attention, &title, (!app.axis().is_empty()).then_some(&right), area, buf);
    if inner.is_empty() {
        return;
    }
    let dim = theme.style(Role::Dim);
    let Some((focus, scores, current)) = found else {
        return put(buf, inner, 0, &Line::from(span("nothing to show yet", dim)));
    };
    let sides = [("reference", &scores.reference), ("candidate", &scores.candidate)];
    let missing: Vec<String> =
        sides.iter().filter_map(|(name, side)| Some(format!("{name}: {}", side.as_ref().err()?))).collect();
    if missing.len() == 2 {
        for (y, line) in (0..).zip(&missing) {
            put(buf, inner, y, &Line::from(span(line, theme.style(Role::Missing))));
        }
        return;
    }
    let Some(places) = places(inner) else {
        return put(buf, inner, 0, &Line::from(span("too narrow for this", dim)));
    };
    let room = places.room(context);
    let folded = app.prepared().of(PaneKind::Attention, room.key(), || prepare(scores, room));
    let point = pointed(context, focus);
    let labelled = |rows: Range<usize>, selected: bool| {
        let style = if selected { theme.bar(Role::Accent) } else { dim };
        let head = point.0.filter(|_| selected).unwrap_or(rows.start);
        vec![span(&format!("h {head:<3}"), style)]
    };
    folded.draw(context, &places, point, labelled, buf);
    if inner.height > 3 {
        let (columns, rows) = folded.fold();
        let per_cell =
            |n: usize, what: &str| if n == 1 { format!("a {what}") } else { format!("{n} {what}s") };
        let remark = format!("a cell: {} of {}", per_cell(columns, "position"), per_cell(rows, "head"));
        put(buf, inner, inner.height - 1, &scale::legend(theme, folded.limit, &[&remark], inner.width));
    }
    if inner.height > 5 {
        let text = match (missing.first(), folded.worst) {
            (Some(missing), _) => missing.clone(),
            (None, Some((head, position, delta))) if delta != 0.0 => {
                let delta =
                    if delta.is_finite() { figure(f64::from(delta.abs())) } else { "not finite".to_owned() };
                format!("largest |Δ| {delta}: head {head} at position {position}{}", token(context, position))
            }
            (None, Some(_)) => "both sides look alike".to_owned(),
            (None, None) => "the shapes cannot be compared".to_owned(),
        };
        put(buf, inner, inner.height - 2, &Line::from(span(&text, theme.style(Role::Text))));
    }
    if !current {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

/// The text of a position's token in quotes.
fn token(context: Context<'_>, position: usize) -> String {
    let app = context.app;
    let slot = u32::try_from(position).ok().and_then(|position| app.slot(position));
    let token = slot.and_then(|slot| app.token(app.axis()[slot]));
    token.map(|token| format!(" “{}”", token.text)).unwrap_or_default()
}

/// Head and position of the cursor's channel, where the cursor is on scores.
fn pointed(context: Context<'_>, focus: &Focus) -> (Option<usize>, Option<usize>) {
    let cursor = context.app.cursor();
    let any = focus.reference.as_ref().or(focus.candidate.as_ref());
    let width = any.and_then(|tensor| tensor.shape.first()).map_or(0, |&n| n);
    if !is_per_position(cursor.checkpoint.site()) || focus.checkpoint != cursor.checkpoint || width == 0 {
        return (None, None);
    }
    (Some((cursor.channel / width) as usize), Some((cursor.channel % width) as usize))
}

/// The position drawn at (x, y).
pub fn hit(context: Context<'_>, area: Rect, x: u16, y: u16) -> Option<Action> {
    let (_, scores, _) = scores(context)?;
    let places = places(inner_of(area))?;
    let room = places.room(context);
    let folded = context.app.prepared().of(PaneKind::Attention, room.key(), || prepare(scores, room));
    let (_, positions) = folded.hit(&places, x, y)?;
    let position = u32::try_from(positions.start).ok()?;
    context.app.slot(position).map(|_| Action::SelectPosition(position))
}
