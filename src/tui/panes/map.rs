//! Parity map: layer × position, or checkpoint × position; colour is severity.
//!
//! ```text
//! ─ parity map: layer × position ──── ◆ first  ◇ error enters ─
//! out   ▓▓▓▓▓▓▓▓░░
//! l 1   ▓▓▓▓▓▓▓▓
//! l 0   ▓▓▓▓◆▓▓▓
//! embd  ▓▓▓▓▓▓▓▓
//!       0···▼····10
//! ```
//!
//! Execution goes upwards. Two rows share a line (half blocks) where the rows do not fit otherwise; a sign
//! (`✘` faulty, `◆` and `◇` an error enters) then takes both halves, in the colour of the row that it stands
//! for. Other signs: `·` one side lacks it, `≠` cannot be compared, `×` not finite; on the ruler `●` a
//! breakpoint.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::tokens::BREAKPOINT;
use super::{Context, frame, heading, inner_of, span};
use crate::tui::app::{Action, Mark, Row, Slot};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::views::RowsOf;

/// Lines that a row takes at most.
const TALLEST: usize = 3;

/// Where everything of one map is.
#[derive(Debug)]
struct Geometry {
    rows: Vec<Row>,
    /// Cells, without labels and ruler.
    cells: Rect,
    /// Line of the ruler, if there is room for one.
    ruler: Option<u16>,
    label_width: u16,
    /// Columns of the terminal for one position (or one bin).
    column_width: u16,
    /// First slot shown.
    first_slot: usize,
    /// Slots folded into one column.
    bin: usize,
    /// First row shown, counted from the top (the last in order of execution).
    first_row: usize,
    /// Rows folded into one.
    row_bin: usize,
    /// Rows (or bins) in one line of the terminal: 1 or 2.
    per_line: usize,
    /// Lines of the terminal for one row, where there is room for more than one.
    row_height: usize,
}

impl Geometry {
    fn new(context: Context<'_>, inner: Rect) -> Self {
        let app = context.app;
        let rows = app.map_rows();
        let label_width =
            rows.iter().map(|&r| label(context, r).chars().count()).max().unwrap_or(4).clamp(4, 14) as u16;
        let label_width = label_width.min(inner.width / 2) + 1;
        let ruler_fits = inner.height > 3;
        let height = inner.height - u16::from(ruler_fits);
        let cells = Rect {
            x: inner.x + label_width.min(inner.width),
            y: inner.y,
            width: inner.width.saturating_sub(label_width),
            height,
        };
        let (lines, slots) = (height.max(1) as usize, app.axis().len());
        // Checkpoints are told by their names, so each keeps a line of its own.
        let halves = app.view().info().rows == RowsOf::Layers && rows.len() > lines && context.theme.paints();
        let per_line = if halves { 2 } else { 1 };
        let row_height = (lines / rows.len().max(1)).clamp(1, TALLEST);
        let row_bin = if app.fit() { rows.len().div_ceil(lines * per_line).max(1) } else { 1 };
        let width = cells.width.max(1) as usize;
        let column_width = if slots > 0 && slots * 3 <= width {
            3
        } else if slots * 2 <= width {
            2
        } else {
            1
        };
        let bin = if app.fit() { slots.div_ceil(width).max(1) } else { 1 };
        let columns = width / column_width as usize;
        let anchor = app.anchor();
        let here = app.slot(anchor.position).unwrap_or(0);
        let first_slot = if bin == 1 { page(here, columns, slots) } else { 0 };
        let row_of = |checkpoint| rows.iter().rev().position(|r| r.contains(checkpoint));
        let row_here = row_of(anchor.checkpoint).or_else(|| row_of(app.cursor().checkpoint)).unwrap_or(0);
        let first_row = if row_bin == 1 {
            // Whole lines, so that pairs stay pairs while scrolling.
            window(row_here / per_line, lines, rows.len().div_ceil(per_line)) * per_line
        } else {
            0
        };
        // A map that does not fill the pane has its ruler right below.
        let used = (rows.len().div_ceil(per_line * row_bin) * row_height).min(lines) as u16;
        let cells = Rect { height: used.min(cells.height), ..cells };
        let ruler = ruler_fits.then(|| cells.bottom());
        Self {
            rows,
            cells,
            ruler,
            label_width,
            column_width,
            first_slot,
            bin,
            first_row,
            row_bin,
            per_line,
            row_height,
        }
    }

    /// Rows of a line's upper (0) or lower (1) half, as indices into `rows`.
    fn rows_at(&self, line: usize, half: usize) -> std::ops::Range<usize> {
        let line = line / self.row_height;
        let from_top = self.first_row + (line * self.per_line + half) * self.row_bin;
        let end = self.rows.len().saturating_sub(from_top);
        end.saturating_sub(self.row_bin)..end
    }

    fn slots_at(&self, column: usize, slots: usize) -> std::ops::Range<usize> {
        let start = (self.first_slot + column * self.bin).min(slots);
        start..(start + self.bin).min(slots)
    }
}

/// As [`window`], in steps of a quarter: nearly always a move of the cursor leaves the picture where it is, and
/// little has to be sent to the terminal. At the end there may be room for what comes.
fn page(here: usize, visible: usize, all: usize) -> usize {
    let step = (visible / 4).max(1);
    let last = all.saturating_sub(visible).div_ceil(step) * step;
    (here.saturating_sub(visible / 2) / step * step).min(last)
}

/// First of `visible` places out of `all` such that `here` is among them, near the middle.
fn window(here: usize, visible: usize, all: usize) -> usize {
    here.saturating_sub(visible / 2).min(all.saturating_sub(visible))
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let app = context.app;
    let theme = context.theme;
    let cursor = app.cursor().checkpoint;
    let text = match (app.view().info().rows, cursor.layer_index()) {
        (RowsOf::Layers, _) => "parity map: layer × position".to_owned(),
        (RowsOf::Checkpoints, Some(layer)) => format!("layer {layer}: checkpoint × position"),
        (RowsOf::Checkpoints, None) => "checkpoint × position".to_owned(),
        (RowsOf::Site, _) => format!("{}: layer × position", cursor.site().name()),
    };
    // The title in full, then its first half; with each the legend in full, then shorter.
    let name = text.split_once(": ").map_or(&*text, |(name, _)| name);
    let faulty = app.diagnosed().is_some();
    let legends =
        [[" first", " error enters"], [" first", " enters"]].map(|words| legend(context, words, faulty));
    let room = (area.width as usize).saturating_sub(9);
    let fits = |text: &str, legend: &Line<'_>| text.chars().count() + legend.width() <= room;
    let titles = [&*text, name].into_iter();
    let choices = titles.flat_map(|text| legends.iter().map(move |legend| (text, legend)));
    let (text, legend) =
        choices.into_iter().find(|(text, legend)| fits(text, legend)).unwrap_or((name, &legends[1]));
    let title = heading(context, PaneKind::Map, text);
    let inner = frame(context, PaneKind::Map, &title, Some(legend), area, buf);
    if inner.is_empty() {
        return;
    }
    if app.axis().is_empty() || app.map_rows().is_empty() {
        super::put(buf, inner, 0, &Line::from(span("nothing recorded yet", theme.style(Role::Dim))));
        return;
    }
    let geometry = Geometry::new(context, inner);
    draw_labels(context, &geometry, inner, buf);
    draw_cells(context, &geometry, buf);
    draw_ruler(context, &geometry, buf);
}

/// What the signs mean; that of faulty operations where a diagnosis may have found some.
fn legend(context: Context<'_>, [first, enters]: [&'static str; 2], faulty: bool) -> Line<'static> {
    let theme = context.theme;
    let mut spans = Vec::new();
    if faulty {
        spans.push(Span::styled("✘ faulty  ", theme.bold(Role::Bad)));
    }
    spans.push(Span::styled(format!("◆{first}"), theme.style(Role::Bad)));
    spans.push(Span::styled(format!("  ◇{enters}"), theme.style(Role::Bad)));
    Line::from(spans)
}

/// The cell drawn at (x, y).
pub fn hit(context: Context<'_>, area: Rect, x: u16, y: u16) -> Option<Action> {
    let inner = inner_of(area);
    let geometry = Geometry::new(context, inner);
    if !geometry.cells.contains((x, y).into()) {
        return None;
    }
    let column = ((x - geometry.cells.x) / geometry.column_width) as usize;
    let slot = geometry.slots_at(column, context.app.axis().len()).next()?;
    let row = geometry.rows_at((y - geometry.cells.y) as usize, 0).next()?;
    Some(Action::Select { position: context.app.axis()[slot].position, row: geometry.rows[row] })
}

fn draw_labels(context: Context<'_>, geometry: &Geometry, inner: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    let cursor = context.app.cursor().checkpoint;
    for line in 0..geometry.cells.height as usize {
        let rows: Vec<Row> = (0..geometry.per_line)
            .rev()
            .flat_map(|half| geometry.rows_at(line, half))
            .map(|i| geometry.rows[i])
            .collect();
        let selected = rows.iter().copied().find(|r| r.contains(cursor));
        let Some(row) = selected.or(rows.first().copied()) else { break };
        if line % geometry.row_height != (geometry.row_height - 1) / 2 {
            continue;
        }
        let style = if selected.is_some() { theme.bar(Role::Accent) } else { theme.style(Role::Dim) };
        let label: String = label(context, row).chars().take(geometry.label_width as usize - 1).collect();
        let place = Rect { width: geometry.label_width - 1, ..inner };
        super::put(buf, place, line as u16, &Line::from(span(&label, style)));
    }
}

/// What stands beside a row; where all rows are of one site, its layer.
fn label(context: Context<'_>, row: Row) -> String {
    match (context.app.view().info().rows, row) {
        (RowsOf::Site, Row::Single(checkpoint)) => Row::of(checkpoint).label(),
        _ => row.label(),
    }
}

fn fold(context: Context<'_>, geometry: &Geometry, slots: &[Slot], rows: std::ops::Range<usize>) -> Mark {
    let mut mark = Mark::default();
    for &slot in slots {
        for row in rows.clone() {
            mark = mark.fold(context.app.mark(slot, row, geometry.rows[row]));
        }
    }
    mark
}

fn draw_cells(context: Context<'_>, geometry: &Geometry, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let axis = app.axis();
    let cursor = app.cursor();
    let columns = (geometry.cells.width / geometry.column_width) as usize;
    for column in 0..columns {
        let slots = &axis[geometry.slots_at(column, axis.len())];
        if slots.is_empty() {
            break;
        }
        let in_column = slots.iter().any(|s| s.position == cursor.position);
        let x = geometry.cells.x + column as u16 * geometry.column_width;
        for line in 0..geometry.cells.height as usize {
            let y = geometry.cells.y + line as u16;
            let upper_rows = geometry.rows_at(line, 0);
            if upper_rows.is_empty() {
                break;
            }
            let is_cursor = |rows: &std::ops::Range<usize>| {
                in_column && rows.clone().any(|i| geometry.rows[i].contains(cursor.checkpoint))
            };
            let upper = fold(context, geometry, slots, upper_rows.clone());
            if geometry.per_line == 1 {
                // A sign stands once, in the row's middle line.
                let middle = line % geometry.row_height == (geometry.row_height - 1) / 2;
                let shown =
                    if middle { upper } else { Mark { origin: false, first: false, faulty: false, ..upper } };
                let (glyph, style) = theme.mark(shown);
                let glyph = if middle || FILLING.contains(&glyph) { glyph } else { ' ' };
                paint(buf, x, y, geometry.column_width, glyph, style);
                if is_cursor(&upper_rows) {
                    let sign = if middle && glyph == ' ' { '▣' } else { glyph };
                    mark_cursor(context, buf, x, y, geometry.column_width, sign);
                }
                continue;
            }
            let lower_rows = geometry.rows_at(line, 1);
            let lower = fold(context, geometry, slots, lower_rows.clone());
            let (glyph, style) = half_blocks(context, upper, lower);
            paint(buf, x, y, geometry.column_width, glyph, style);
            // A sign stays readable under the cursor.
            let under = |half: char| if matches!(glyph, '✘' | '◆' | '◇') { glyph } else { half };
            if is_cursor(&upper_rows) {
                mark_cursor(context, buf, x, y, geometry.column_width, under('▀'));
            } else if is_cursor(&lower_rows) {
                mark_cursor(context, buf, x, y, geometry.column_width, under('▄'));
            }
        }
    }
}

/// Characters that fill their cell; the others are signs and stand once.
const FILLING: [char; 6] = ['▀', '▄', '█', '▓', '▒', '-'];

fn paint(buf: &mut Buffer, x: u16, y: u16, width: u16, glyph: char, style: Style) {
    for dx in 0..width {
        if let Some(cell) = buf.cell_mut((x + dx, y)) {
            cell.set_char(if dx == 0 || FILLING.contains(&glyph) { glyph } else { ' ' }).set_style(style);
        }
    }
}

/// Two marks in one character: the upper half is the foreground, the lower the background.
fn half_blocks(context: Context<'_>, upper: Mark, lower: Mark) -> (char, Style) {
    let theme = context.theme;
    let weight = |mark: Mark| (mark.faulty, mark.first, mark.origin && mark.is_beyond());
    let telling = if weight(upper) >= weight(lower) { upper } else { lower };
    if weight(telling) != Default::default() {
        return theme.mark(telling);
    }
    let color = |mark: Mark| -> Option<Color> { theme.block(mark.shade) };
    match (color(upper), color(lower)) {
        (Some(above), Some(below)) => ('▀', Style::new().fg(above).bg(below)),
        (Some(above), None) => ('▀', Style::new().fg(above)),
        (None, Some(below)) => ('▄', Style::new().fg(below)),
        (None, None) => theme.mark(upper.fold(lower)),
    }
}

/// The cursor's cell in inverse, with brackets around its sign where the column is wide enough.
fn mark_cursor(context: Context<'_>, buf: &mut Buffer, x: u16, y: u16, width: u16, sign: char) {
    let style = context.theme.bar(Role::Accent);
    let text: [char; 3] = match (width, sign) {
        (3, ' ') | (2, _) => [sign, ' ', ' '],
        (3, sign) => ['[', sign, ']'],
        _ => [sign; 3],
    };
    for (dx, c) in (0..width).zip(text) {
        if let Some(cell) = buf.cell_mut((x + dx, y)) {
            cell.set_char(c).set_style(style);
        }
    }
}

fn draw_ruler(context: Context<'_>, geometry: &Geometry, buf: &mut Buffer) {
    let Some(y) = geometry.ruler else { return };
    let theme = context.theme;
    let axis = context.app.axis();
    let cursor = context.app.cursor().position;
    let row = Rect { y, height: 1, ..geometry.cells };
    let columns: Vec<(u16, &[Slot])> = (0..(row.width / geometry.column_width) as usize)
        .map(|column| {
            let x = row.x + column as u16 * geometry.column_width;
            (x, &axis[geometry.slots_at(column, axis.len())])
        })
        .take_while(|(_, slots)| !slots.is_empty())
        .collect();
    let mut write = |x: u16, label: String, style: Style| {
        let place = Rect { x, width: row.right().saturating_sub(x), ..row };
        super::put(buf, place, 0, &Line::from(Span::styled(label, style)));
    };
    let here = columns.iter().find(|(_, slots)| slots.iter().any(|s| s.position == cursor));
    // Columns that the cursor's number takes, with a space on both sides.
    let mut taken = 0..0;
    if let Some(&(x, _)) = here {
        let digits = cursor.to_string();
        let width = digits.len() as u16 + 1;
        // Near the right edge the number stands on the other side of the arrow.
        let arrow = if context.app.breaks_at(cursor) { BREAKPOINT } else { "▲" };
        let (start, label) = if x + width > row.right() && x + 1 >= row.x + width {
            (x + 1 - width, format!("{digits}{arrow}"))
        } else {
            (x, format!("{arrow}{digits}"))
        };
        taken = start.saturating_sub(1)..start + width + 1;
        write(start, label, theme.bold(Role::Accent));
    }
    let stops = |slots: &[Slot]| slots.iter().any(|s| context.app.breaks_at(s.position));
    let broken: Vec<u16> =
        columns.iter().filter(|(x, slots)| !taken.contains(x) && stops(slots)).map(|(x, _)| *x).collect();
    for &x in &broken {
        write(x, BREAKPOINT.to_owned(), theme.bold(Role::Caution));
    }
    let mut free = row.x;
    for (i, (x, slots)) in columns.iter().enumerate() {
        let position = slots[0].position;
        let bin = geometry.bin as u32;
        let round = i == 0 || position > 0 && position % (10 * bin) < bin;
        let label = position.to_string();
        let end = x + label.len() as u16;
        let covers = broken.iter().any(|at| (*x..end).contains(at));
        if round && *x >= free && (end <= taken.start || *x >= taken.end) && !covers {
            write(*x, label, theme.style(Role::Dim));
            free = end + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_show_the_cursor_and_stay_while_it_moves() {
        for (visible, all) in [(1, 1), (1, 9), (3, 7), (40, 41), (120, 4096), (297, 4096), (10, 5)] {
            let mut turned = 0;
            for here in 0..all {
                let first = page(here, visible, all);
                assert!((first..first + visible).contains(&here), "{here} of {all} in {visible}: {first}");
                turned += usize::from(here > 0 && first != page(here - 1, visible, all));
            }
            assert!(turned <= 4 * all / visible + 1, "{visible} of {all}: {turned} times");
            let empty = (page(all - 1, visible, all) + visible).saturating_sub(all.max(visible));
            assert!(empty <= visible / 4, "{visible} of {all}: {empty} columns empty");
        }
    }
}
