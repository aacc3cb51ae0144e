//! A layer as a pipeline: its checkpoints in order of execution upwards, which feeds which, and severity as
//! a bar, so that the place where it enters stands out.
//!
//! ```text
//! ─ layer 3 · position 17 ──────────────────────────────── ◆ first  ◇ error enters ─
//!    checkpoint              0.01    1      1000  severity      nmse
//!   kq          ◄──╮╮   ━━━━━━━━━━━━━━━━           98.2×   1.2e-2  scores
//! ◆ Kcur_rope   ◄─╮│╯   ━━━━━━━━━━━━━━━━━━         214×    3.1e-2  key after RoPE
//!   Kcur        ──╯│    ━━━━━━  │                  0.410×  1.1e-9  key, projected
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::wires::Wires;
use super::{Context, frame, heading, inner_of, put, span};
use crate::compare::CellState;
use crate::compare::lineage::Lineage;
use crate::figures::figure;
use crate::model::Checkpoint;
use crate::model::checkpoint::Phase;
use crate::palette::{FIRST_BEYOND, Shade, TABLE_LEN};
use crate::tui::app::{Action, App, Mark};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::wording::times;

/// Columns of the figures: severity, nmse.
const FIGURES: [usize; 2] = [8, 9];

/// The rows of a pipeline in order of execution, and the rows that feed each.
#[derive(Debug)]
struct Pipeline {
    rows: Vec<Checkpoint>,
    inputs: Vec<Vec<usize>>,
    /// Rows before the layer's own.
    outside: usize,
}

impl Pipeline {
    /// The cursor's layer, and before it what feeds it from outside.
    fn new(app: &App) -> Self {
        let all = app.rows().checkpoints();
        let group = app.rows().group(app.cursor().checkpoint);
        let layer = app.cursor().checkpoint.layer_index();
        let mut lineage = Lineage::default();
        let last = all.iter().rev().find(|c| c.site().phase() == Phase::Layer);
        let before = |c: &&Checkpoint| {
            c.site().phase() == Phase::Input || layer.is_some_and(|l| c.layer_index() == l.checked_sub(1))
        };
        for &checkpoint in all.iter().filter(before).chain(last).chain(group) {
            lineage.insert(checkpoint);
        }
        let parents: Vec<Vec<Checkpoint>> = group
            .iter()
            .map(|&checkpoint| {
                let mut found = Vec::new();
                recorded(&lineage, all, checkpoint, &mut found);
                found
            })
            .collect();
        let mut rows: Vec<Checkpoint> =
            parents.iter().flatten().filter(|parent| !group.contains(parent)).copied().collect();
        rows.sort();
        rows.dedup();
        let outside = rows.len();
        rows.extend(group);
        let index = |of: &Checkpoint| rows.binary_search(of).ok();
        let inputs = parents.iter().map(|parents| parents.iter().filter_map(index).collect());
        let inputs = vec![Vec::new(); outside].into_iter().chain(inputs).collect();
        Self { rows, inputs, outside }
    }
}

/// The recorded checkpoints that `of` is computed from; one that is not recorded is replaced by its own.
fn recorded(lineage: &Lineage, all: &[Checkpoint], of: Checkpoint, out: &mut Vec<Checkpoint>) {
    for &input in lineage.parents(of).iter() {
        if all.binary_search(&input.checkpoint).is_err() {
            recorded(lineage, all, input.checkpoint, out);
        } else if !out.contains(&input.checkpoint) {
            out.push(input.checkpoint);
        }
    }
}

/// Which columns there are, by the pane's width.
#[derive(Clone, Copy, Debug)]
struct Columns {
    name: usize,
    /// Characters of a lane of the lines; none where they do not fit.
    lane: usize,
    lanes: usize,
    bar: usize,
    nmse: bool,
    operation: usize,
}

impl Columns {
    fn new(pipeline: &Pipeline, wires: &Wires, width: usize) -> Self {
        let name =
            pipeline.rows.iter().map(|&c| label(pipeline, c).chars().count()).max().unwrap_or(0).max(10);
        let lanes = wires.width;
        // The sign, the name, a space, the least bar, and the figure.
        let mut left = width.saturating_sub(2 + name + 1 + 8 + 1 + FIGURES[0]);
        let mut take = |wanted: usize| {
            let fits = wanted <= left;
            left -= if fits { wanted } else { 0 };
            fits
        };
        let narrow = take(1 + lanes + 1);
        let nmse = take(FIGURES[1]);
        let bar = 8 + (4..=16).rev().find(|&more| take(more)).unwrap_or(0);
        let wide = narrow && take(lanes);
        let lane = usize::from(narrow) + usize::from(wide);
        let operation = if left >= 14 { left - 2 } else { 0 };
        Self { name, lane, lanes, bar, nmse, operation }
    }

    fn wires(&self) -> usize {
        if self.lane == 0 { 0 } else { 1 + self.lane * self.lanes + 1 }
    }
}

/// A checkpoint's name: with its layer where it is another than the cursor's.
fn label(pipeline: &Pipeline, checkpoint: Checkpoint) -> String {
    let outside = pipeline.rows[..pipeline.outside].contains(&checkpoint);
    if outside { checkpoint.to_string() } else { checkpoint.site().name().to_owned() }
}

/// First row shown at the bottom, for this many lines.
fn first_row(context: Context<'_>, pipeline: &Pipeline, lines: usize) -> usize {
    let row = |checkpoint| pipeline.rows.iter().position(|&c| c == checkpoint);
    let here = row(context.app.anchor().checkpoint).or_else(|| row(context.app.cursor().checkpoint));
    here.unwrap_or(0).saturating_sub(lines / 2).min(pipeline.rows.len().saturating_sub(lines))
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let cursor = app.cursor();
    let text = match cursor.checkpoint.layer_index() {
        Some(layer) => format!("layer {layer} · position {}: the pipeline", cursor.position),
        None => format!("position {}: the pipeline", cursor.position),
    };
    let title = heading(context, PaneKind::Pipeline, &text);
    let legend = Line::from(vec![
        Span::styled("◆ first", theme.style(Role::Bad)),
        Span::styled("  ◇ error enters", theme.style(Role::Bad)),
    ]);
    let inner = frame(context, PaneKind::Pipeline, &title, Some(&legend), area, buf);
    if inner.is_empty() {
        return;
    }
    if app.axis().is_empty() || app.rows().checkpoints().is_empty() {
        return put(buf, inner, 0, &Line::from(span("nothing recorded yet", theme.style(Role::Dim))));
    }
    let pipeline = Pipeline::new(app);
    let wires = Wires::new(&pipeline.inputs);
    // The last column is for the signs that there is more above or below.
    let columns = Columns::new(&pipeline, &wires, inner.width as usize - 1);
    let header = u16::from(inner.height > 3);
    if header > 0 {
        put(buf, inner, 0, &head(context, columns));
    }
    let lines = (inner.height - header) as usize;
    let first = first_row(context, &pipeline, lines);
    let shown = lines.min(pipeline.rows.len() - first);
    for line in 0..shown {
        let row = first + shown - 1 - line;
        let text = row_line(context, &pipeline, &wires, columns, row);
        put(buf, inner, header + line as u16, &text);
    }
    let right = inner.right() - 1;
    let more = theme.style(Role::Accent);
    if first + shown < pipeline.rows.len() {
        buf[(right, inner.y + header)].set_symbol("▲").set_style(more);
    }
    if first > 0 {
        buf[(right, inner.y + header + shown as u16 - 1)].set_symbol("▼").set_style(more);
    }
}

fn head(context: Context<'_>, columns: Columns) -> Line<'static> {
    let dim = context.theme.style(Role::Dim);
    let start =
        format!("  {:<width$} {:wires$}", "checkpoint", "", width = columns.name, wires = columns.wires());
    let limit = limit_at(columns.bar);
    let scale = format!("{:<limit$}{:<rest$}", ".01", "1", rest = columns.bar - limit);
    let scale = if columns.bar >= 12 { format!("{}1000", &scale[..columns.bar - 4]) } else { scale };
    let nmse = if columns.nmse { format!("{:>width$}", "nmse", width = FIGURES[1]) } else { String::new() };
    let operation = if columns.operation > 0 { "  what it is" } else { "" };
    let text = format!("{start}{scale} {:>width$}{nmse}{operation}", "severity", width = FIGURES[0]);
    Line::from(span(&text, dim))
}

/// Where a bar of this width has the end of noise.
fn limit_at(width: usize) -> usize {
    width * FIRST_BEYOND as usize / TABLE_LEN
}

fn mark_of(app: &App, checkpoint: Checkpoint) -> (Mark, Option<CellState>) {
    let position = app.cursor().position;
    let cell = app.marks(position).and_then(|marks| marks.column.cell(checkpoint));
    let first = app.first() == Some((position, checkpoint));
    let mark = cell.map(|cell| Mark::of(&cell.state)).unwrap_or_default();
    (Mark { first, origin: mark.origin || first, ..mark }, cell.map(|cell| cell.state))
}

fn row_line(
    context: Context<'_>,
    pipeline: &Pipeline,
    wires: &Wires,
    columns: Columns,
    row: usize,
) -> Line<'static> {
    let (app, theme) = (context.app, context.theme);
    let checkpoint = pipeline.rows[row];
    let (mark, state) = mark_of(app, checkpoint);
    let dim = theme.style(Role::Dim);
    let sign = match (mark.first, mark.origin) {
        (true, _) => "◆ ",
        (_, true) => "◇ ",
        _ => "  ",
    };
    let name = format!("{:<width$}", label(pipeline, checkpoint), width = columns.name);
    let is_cursor = checkpoint == app.cursor().checkpoint;
    let name_style = match (is_cursor, row < pipeline.outside) {
        (true, _) => theme.bar(Role::Accent),
        (_, true) => dim,
        _ if mark.origin => theme.bold(Role::Bad),
        _ => theme.style(Role::Text),
    };
    let mut spans = vec![Span::styled(sign, theme.bold(Role::Bad)), span(&name, name_style), Span::raw(" ")];
    if columns.lane > 0 {
        let beyond = |from: usize| mark_of(app, pipeline.rows[from]).0.is_beyond();
        let reaches = pipeline.inputs[row].iter().any(|&from| beyond(from));
        for (i, cell) in wires.row(row).into_iter().enumerate() {
            let bad = cell.from.map_or(i == 0 && reaches, beyond);
            let style = theme.style(if bad { Role::Bad } else { Role::Line });
            if i > 0 && columns.lane > 1 {
                // What arrives from the right passes between the lanes too.
                let joined = matches!(cell.glyph, '─' | '╯' | '┴' | '╮' | '┬' | '┤' | '┼')
                    || wires.row(row)[i..].iter().any(|c| matches!(c.glyph, '╯' | '╮' | '┤'));
                spans.push(Span::styled(if joined { "─" } else { " " }, theme.style(Role::Line)));
            }
            spans.push(Span::styled(cell.glyph.to_string(), style));
        }
        spans.push(Span::raw(" "));
    }
    spans.extend(bar(context, mark, columns.bar));
    let (severity, nmse, role) = match state {
        Some(CellState::Compared { metrics, severity, .. }) => {
            let role = match mark.shade {
                Shade::Infinite => Role::Nonfinite,
                _ if mark.is_beyond() => Role::Bad,
                _ => Role::Good,
            };
            (times(severity), figure(metrics.nmse), role)
        }
        Some(CellState::ReferenceOnly) => ("ref only".to_owned(), String::new(), Role::Missing),
        Some(CellState::CandidateOnly) => ("cand only".to_owned(), String::new(), Role::Missing),
        Some(CellState::ShapeMismatch) => ("shapes ≠".to_owned(), String::new(), Role::Mismatch),
        Some(CellState::Unreadable) => ("no values".to_owned(), String::new(), Role::Mismatch),
        None => ("-".to_owned(), String::new(), Role::Dim),
    };
    let severity = format!("{severity:>width$}", width = FIGURES[0] + 1);
    spans.push(span(&severity, if mark.is_beyond() { theme.bold(role) } else { theme.style(role) }));
    if columns.nmse {
        spans.push(span(&format!("{nmse:>width$}", width = FIGURES[1]), theme.style(Role::Text)));
    }
    if columns.operation > 0 {
        spans.push(span(&format!("  {}", within(checkpoint.site().info().meaning, columns.operation)), dim));
    }
    Line::from(spans)
}

/// Severity as a bar on the severity scale, with a line where noise ends.
fn bar(context: Context<'_>, mark: Mark, width: usize) -> Vec<Span<'static>> {
    let theme = context.theme;
    let (filled, limit) = match mark.shade {
        Shade::Within(i) | Shade::Beyond(i) => {
            ((i as usize * width).div_ceil(TABLE_LEN - 1).max(1), limit_at(width))
        }
        Shade::Infinite => (width, limit_at(width)),
        Shade::Empty | Shade::Missing | Shade::Mismatch => (0, limit_at(width)),
    };
    let (glyph, style) = match theme.block(mark.shade) {
        Some(color) if mark.shade == Shade::Infinite => ('×', Style::new().fg(color)),
        Some(color) => ('━', Style::new().fg(color)),
        None => theme.mark(Mark { shade: mark.shade, ..Mark::default() }),
    };
    let mut spans = vec![Span::styled(glyph.to_string().repeat(filled), style)];
    let rest: String = (filled..width).map(|x| if x == limit { '┊' } else { ' ' }).collect();
    spans.push(Span::styled(rest, theme.style(Role::Line)));
    spans
}

/// As many whole words as fit.
fn within(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for word in text.split(' ') {
        if out.chars().count() + word.chars().count() + 2 > width {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    let out = out.trim_end_matches([',', ':', '(']);
    if out.is_empty() { String::new() } else { format!("{out}…") }
}

/// The checkpoint drawn at this line; a second click looks at its values.
pub fn hit(context: Context<'_>, area: Rect, _: u16, y: u16) -> Option<Action> {
    let app = context.app;
    if app.axis().is_empty() || app.rows().checkpoints().is_empty() {
        return None;
    }
    let inner = inner_of(area);
    let header = u16::from(inner.height > 3);
    let line = y.checked_sub(inner.y + header)? as usize;
    let pipeline = Pipeline::new(app);
    let lines = (inner.height - header) as usize;
    let first = first_row(context, &pipeline, lines);
    let shown = lines.min(pipeline.rows.len() - first);
    let row = (first + shown).checked_sub(1 + line).filter(|&row| row >= first)?;
    let checkpoint = pipeline.rows[row];
    let cursor = app.cursor();
    Some(if checkpoint == cursor.checkpoint {
        Action::Drill
    } else {
        Action::SelectChannel(checkpoint, cursor.channel)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_not_clipped() {
        assert_eq!(within("key after RoPE", 20), "key after RoPE");
        assert_eq!(within("key, projected and biased, before RoPE", 27), "key, projected and biased…");
        assert_eq!(within("unbreakable", 4), "");
    }
}
