//! Layers by channels: one site of both sides in every layer, and the difference.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::grid::Room;
use super::triptych::{Places, Table, Triptych};
use super::{Context, frame, heading, inner_of, put, scale, span};
use crate::figures::figure;
use crate::model::Checkpoint;
use crate::palette::Shade;
use crate::session::alike;
use crate::session::{LayerRow, Layers};
use crate::tui::app::{Action, Mark, Row};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// The layers at hand, and whether they are those of the cursor.
fn layers(context: Context<'_>) -> Option<(&Layers, bool)> {
    let cursor = context.app.cursor();
    let focus = context.app.shown().any()?;
    let layers = focus.layers.as_deref()?;
    let current = focus.position == cursor.position && focus.checkpoint.site() == cursor.checkpoint.site();
    Some((layers, current))
}

fn label_width(layers: &Layers) -> u16 {
    let widest = layers.rows.iter().map(|row| label(row.checkpoint).chars().count()).max().unwrap_or(0);
    // A space and the sign of the layer's severity.
    widest.clamp(3, 8) as u16 + 2
}

/// `l 7`, or the site's name where it belongs to no layer.
fn label(checkpoint: Checkpoint) -> String {
    Row::of(checkpoint).label()
}

/// Layers from the top down: the last one first, as in the map.
fn from_top(layers: &Layers) -> impl Iterator<Item = &LayerRow> {
    layers.rows.iter().rev()
}

fn prepare(layers: &Layers, room: Room) -> Triptych {
    let pairs: Vec<_> =
        from_top(layers).map(|row| alike(row.reference.as_deref(), row.candidate.as_deref())).collect();
    let rows = pairs
        .iter()
        .map(|(a, b)| [a.as_deref(), b.as_deref()].map(|side| side.map(|tensor| tensor.values.as_slice())));
    Triptych::new(&Table::new(rows.collect()), room)
}

/// What is drawn where in the pane's inner area: the pictures, then a legend and the cursor's values.
fn places(inner: Rect, layers: &Layers) -> Option<Places> {
    let rest = if inner.height > 5 { 2 } else { u16::from(inner.height > 3) };
    Places::new(Rect { height: inner.height - rest, ..inner }, label_width(layers))
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let cursor = app.cursor();
    let found = layers(context);
    let title =
        format!("{} · position {}: layer × channel", cursor.checkpoint.site().name(), cursor.position);
    let right = match found {
        Some((_, true)) => span(&format!("channel {}", cursor.channel), theme.bold(Role::Accent)),
        _ => span("reading …", theme.bold(Role::Caution)),
    };
    let empty = app.axis().is_empty();
    let right = Line::from(right);
    let title = heading(context, PaneKind::Channels, if empty { "layer × channel" } else { &title });
    let inner = frame(context, PaneKind::Channels, &title, (!empty).then_some(&right), area, buf);
    if inner.is_empty() {
        return;
    }
    let dim = theme.style(Role::Dim);
    let Some((layers, current)) = found else {
        return put(buf, inner, 0, &Line::from(span("nothing to show yet", dim)));
    };
    if layers.rows.is_empty() {
        return put(buf, inner, 0, &Line::from(span("neither side has recorded this site here", dim)));
    }
    let Some(places) = places(inner, layers) else {
        return put(buf, inner, 0, &Line::from(span("too narrow for this", dim)));
    };
    let room = places.room(context);
    let folded = app.prepared().of(PaneKind::Channels, room.key(), || prepare(layers, room));
    let at = from_top(layers).position(|row| row.checkpoint == cursor.checkpoint);
    let ordered: Vec<&LayerRow> = from_top(layers).collect();
    let width = label_width(layers) as usize - 2;
    let labelled = |rows: std::ops::Range<usize>, selected: bool| {
        let rows = &ordered[rows.start.min(ordered.len())..rows.end.min(ordered.len())];
        let Some(first) = rows.first() else { return Vec::new() };
        let shown = rows.iter().find(|row| row.checkpoint == cursor.checkpoint).unwrap_or(first);
        let style = if selected { theme.bar(Role::Accent) } else { dim };
        let shade =
            rows.iter().filter_map(|row| row.severity).map(Shade::of_severity).max().unwrap_or_default();
        let (glyph, look) = theme.mark(Mark { shade, ..Mark::default() });
        let text: String = label(shown.checkpoint).chars().take(width).collect();
        vec![span(&format!("{text:<width$}"), style), Span::raw(" "), Span::styled(glyph.to_string(), look)]
    };
    folded.draw(context, &places, (at, Some(cursor.channel as usize)), labelled, buf);
    if inner.height > 3 {
        let (columns, rows) = folded.fold();
        let mut remark = match (columns, rows) {
            (1, 1) => "each cell one value".to_owned(),
            (n, 1) => format!("{n} channels a cell"),
            (n, m) => format!("{n} channels of {m} layers a cell"),
        };
        if layers.left_out > 0 {
            remark = format!("{remark}, {} layers not read (too many values)", layers.left_out);
        }
        put(buf, inner, inner.height - 1, &scale::legend(theme, folded.limit, &[&remark], inner.width));
    }
    if inner.height > 5 {
        put(buf, inner, inner.height - 2, &values(context, &ordered, at, &folded));
    }
    if !current {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

/// The values under the cursor, and where the sides differ most.
fn values(context: Context<'_>, rows: &[&LayerRow], at: Option<usize>, folded: &Triptych) -> Line<'static> {
    let theme = context.theme;
    let channel = context.app.cursor().channel as usize;
    let dim = theme.style(Role::Dim);
    let mut spans = Vec::new();
    let pair =
        at.and_then(|at| rows.get(at)).map(|row| alike(row.reference.as_deref(), row.candidate.as_deref()));
    let value = |tensor: Option<&crate::trace::Tensor>| {
        tensor.and_then(|t| t.values.get(channel)).map_or_else(|| "-".to_owned(), |v| figure((*v).into()))
    };
    if let Some((a, b)) = pair {
        spans.push(span(&format!("channel {channel}  "), theme.bold(Role::Accent)));
        spans.push(span(&value(a.as_deref()), theme.style(Role::Reference)));
        spans.push(span(" → ", dim));
        spans.push(span(&value(b.as_deref()), theme.style(Role::Candidate)));
    }
    if let Some((row, column, delta)) = folded.worst
        && let Some(row) = rows.get(row)
        && delta != 0.0
    {
        let delta = if delta.is_finite() { figure(f64::from(delta.abs())) } else { "not finite".to_owned() };
        spans.push(span(
            &format!("   largest |Δ| {delta} at {}, channel {column}", label(row.checkpoint)),
            dim,
        ));
    }
    Line::from(spans)
}

/// The channel drawn at (x, y): of those that share the cell, the one that differs most.
pub fn hit(context: Context<'_>, area: Rect, x: u16, y: u16) -> Option<Action> {
    let (layers, _) = layers(context)?;
    let places = places(inner_of(area), layers)?;
    let room = places.room(context);
    let folded = context.app.prepared().of(PaneKind::Channels, room.key(), || prepare(layers, room));
    let (rows, columns) = folded.hit(&places, x, y)?;
    let ordered: Vec<&LayerRow> = from_top(layers).collect();
    let rows = rows.start..rows.end.min(ordered.len());
    let size = |row: &LayerRow, column: usize| {
        let value =
            |t: Option<&std::sync::Arc<crate::trace::Tensor>>| t.and_then(|t| t.values.get(column)).copied();
        match (value(row.reference.as_ref()), value(row.candidate.as_ref())) {
            (Some(a), Some(b)) => {
                let delta = scale::difference(a, b).abs();
                if delta.is_nan() { f32::INFINITY } else { delta }
            }
            _ => 0.0,
        }
    };
    let mut best: Option<(Checkpoint, usize, f32)> = None;
    for row in &ordered[rows] {
        for column in columns.clone() {
            let size = size(row, column);
            if best.is_none_or(|(_, _, found)| size > found) {
                best = Some((row.checkpoint, column, size));
            }
        }
    }
    best.map(|(checkpoint, column, _)| Action::SelectChannel(checkpoint, column as u32))
}
