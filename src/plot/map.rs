//! A map of severities: rows by depth, columns by position.

use std::fmt::Write as _;

use super::canvas::{Area, Canvas, Ink};
use super::font::fit;
use super::style::{Bin, Style, bins, nice_step};
use crate::compare::Severity;
use crate::csv;
use crate::palette::{SEVERITY_TICKS, Shade, ink_on, severity_index, severity_table};

/// Rectangles that an SVG's map has at most.
const MAX_VECTOR_CELLS: usize = 16_384;
/// Signs and hatchings that a map has at most.
const MAX_SIGNS: usize = 4_000;
/// What [`FAULTY`] means.
const FAULTY_TEXT: &str = "faulty operation";
/// What marks an operation that is itself faulty.
const FAULTY: &str = "✘";
/// Cells at least this many pixels wide or high are set apart by a line.
const SEPARATED: i32 = 9;

/// One cell of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapCell {
    /// How it looks.
    pub shade: Shade,
    /// Severity of the worst checkpoint in it, if any was compared.
    pub severity: Option<Severity>,
    /// Name of that checkpoint.
    pub worst: String,
    /// Whether a diagnosis calls an operation in it faulty by itself.
    pub faulty: bool,
}

/// One row of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapRow {
    /// Name of the row.
    pub label: String,
    /// Its number, where rows are numbered: round numbers are labelled first.
    pub number: Option<usize>,
    /// One cell a column.
    pub cells: Vec<MapCell>,
}

/// A place in a map with what to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Column.
    pub column: usize,
    /// Row.
    pub row: usize,
    /// What it is.
    pub label: String,
}

/// The data of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapData {
    /// What the rows are.
    pub row_title: String,
    /// Position of each column.
    pub positions: Vec<u32>,
    /// Text of each column's token, safe to show; may be empty.
    pub texts: Vec<String>,
    /// Rows, the uppermost first.
    pub rows: Vec<MapRow>,
    /// The first divergence.
    pub mark: Option<Mark>,
    /// Column and row of the cursor.
    pub cursor: Option<(usize, usize)>,
}

struct Grid {
    area: Area,
    columns: Vec<Bin>,
    rows: Vec<Bin>,
}

impl Grid {
    fn cell(&self, column: Bin, row: Bin) -> Area {
        Area::new(
            self.area.x + column.from,
            self.area.y + row.from,
            column.to - column.from,
            row.to - row.from,
        )
    }

    fn find(bins: &[Bin], item: usize) -> Option<Bin> {
        bins.iter().copied().find(|b| (b.first..b.end).contains(&item))
    }

    fn at(&self, column: usize, row: usize) -> Option<Area> {
        Some(self.cell(Self::find(&self.columns, column)?, Self::find(&self.rows, row)?))
    }
}

impl MapData {
    /// The data as CSV: one line a cell that is not empty.
    pub fn csv(&self) -> String {
        let mut out = String::from("position,row,state,severity,worst_checkpoint,faulty\n");
        for row in &self.rows {
            for (position, cell) in self.positions.iter().zip(&row.cells) {
                let state = match cell.shade {
                    Shade::Empty => continue,
                    Shade::Within(_) => "within-noise",
                    Shade::Missing => "missing",
                    Shade::Mismatch => "mismatch",
                    Shade::Beyond(_) => "beyond-noise",
                    Shade::Infinite => "not-finite",
                };
                let severity = cell.severity.map_or(String::new(), |s| s.0.to_string());
                let _ = writeln!(
                    out,
                    "{position},{},{state},{severity},{},{}",
                    csv::field(&row.label),
                    csv::field(&cell.worst),
                    if cell.faulty { "yes" } else { "" }
                );
            }
        }
        out
    }

    /// Draws the map with its axes, its mark and, if `legend`, the scale.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style, legend: bool) {
        let (body, foot) =
            if legend { area.split_bottom(legend_height(style)) } else { (area, Area::default()) };
        if self.positions.is_empty() || self.rows.is_empty() {
            style.nothing(canvas, body, "nothing compared yet");
        } else {
            self.draw_body(canvas, body, style);
        }
        if legend {
            draw_legend(
                canvas,
                foot,
                style,
                self.rows.iter().flat_map(|row| &row.cells).any(|cell| cell.faulty),
            );
        }
    }

    fn draw_body(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        let roles = style.roles();
        let (line, unit) = (style.small.line(), style.unit());
        let widest = self.rows.iter().map(|r| style.small.width(&r.label)).max().unwrap_or(0);
        let gutter = widest.min(area.w / 3).max(style.small.width(&self.row_title).min(area.w / 3)) + unit;
        let (callout, rest) = area.split_top(line + unit / 2);
        let (rest, axis) = rest.split_bottom(line * 3 + unit / 2);
        let (labels, mut plot) = rest.split_left(gutter);
        if plot.is_empty() {
            return;
        }
        // A few cells are not blown up into bars.
        plot.w = plot.w.min(self.positions.len() as i32 * unit * 5);
        plot.h = plot.h.min(self.rows.len() as i32 * style.normal.line() * 4);
        let axis = Area::new(axis.x, plot.bottom(), axis.w, axis.h);
        let most = if canvas.is_vector() { MAX_VECTOR_CELLS } else { usize::MAX };
        let rows = bins(self.rows.len(), plot.h, most);
        let columns = bins(self.positions.len(), plot.w, most / rows.len().max(1));
        let grid = Grid { area: plot, columns, rows };
        self.draw_cells(canvas, &grid, style);
        self.draw_faulty(canvas, &grid, style);
        canvas.frame(Area::new(plot.x - 1, plot.y - 1, plot.w + 2, plot.h + 2), 1, roles.line);
        self.draw_rows(canvas, &grid, labels, style);
        self.draw_positions(canvas, &grid, axis, style);
        canvas.text_right(labels.right() - unit, callout.y, &self.row_title, style.label(roles.dim));
        if let Some(cell) = self.cursor.and_then(|(c, r)| grid.at(c, r)) {
            let size = Area::new(cell.x - 1, cell.y - 1, cell.w.max(3) + 1, cell.h.max(3) + 1);
            canvas.frame(Area::new(size.x - 1, size.y - 1, size.w + 2, size.h + 2), 1, roles.ground);
            canvas.frame(size, if cell.w.min(cell.h) > 8 { 2 } else { 1 }, roles.accent);
        }
        if let Some(mark) = &self.mark
            && let Some(cell) = grid.at(mark.column, mark.row)
        {
            draw_mark(canvas, &grid, cell, callout, &mark.label, style);
        }
    }

    fn shade(&self, column: Bin, row: Bin) -> Shade {
        let rows = self.rows.get(row.first..row.end).unwrap_or_default();
        let cells = rows.iter().filter_map(|r| r.cells.get(column.first..column.end.min(r.cells.len())));
        cells.flatten().map(|c| c.shade).max().unwrap_or_default()
    }

    fn draw_cells(&self, canvas: &mut Canvas<'_>, grid: &Grid, style: &Style) {
        let roles = style.roles();
        canvas.fill(grid.area, roles.ground);
        let mut signs = 0;
        for row in &grid.rows {
            let shades: Vec<Shade> = grid.columns.iter().map(|c| self.shade(*c, *row)).collect();
            let mut start = 0;
            for run in shades.chunk_by(|a, b| a == b) {
                let (first, last) = (grid.columns[start], grid.columns[start + run.len() - 1]);
                start += run.len();
                let Some(color) = run[0].color(style.ground) else { continue };
                let area = grid.cell(Bin { to: last.to, ..first }, *row);
                canvas.fill(area, color);
                if let Some(glyph) = run[0].glyph()
                    && signs < MAX_SIGNS
                {
                    signs += sign(canvas, grid, (start - run.len(), run.len()), *row, glyph, style);
                }
            }
        }
        let tightest = |bins: &[Bin]| bins.iter().map(|b| b.to - b.from).min().unwrap_or(0);
        if tightest(&grid.columns) >= SEPARATED {
            for column in grid.columns.iter().skip(1) {
                canvas.vertical(grid.area.x + column.from, grid.area.y, grid.area.bottom(), roles.ground);
            }
        }
        if tightest(&grid.rows) >= SEPARATED {
            for row in grid.rows.iter().skip(1) {
                canvas.horizontal(grid.area.x, grid.area.right(), grid.area.y + row.from, roles.ground);
            }
        }
    }

    /// `✘` in every cell that holds a faulty operation, a dot where there is no room for it.
    fn draw_faulty(&self, canvas: &mut Canvas<'_>, grid: &Grid, style: &Style) {
        let roles = style.roles();
        let faulty = |column: Bin, row: Bin| {
            let rows = self.rows.get(row.first..row.end).unwrap_or_default();
            rows.iter().any(|row| {
                (column.first..column.end).any(|i| row.cells.get(i).is_some_and(|cell| cell.faulty))
            })
        };
        let places = grid.rows.iter().flat_map(|&row| grid.columns.iter().map(move |&column| (column, row)));
        for (column, row) in places.filter(|&(column, row)| faulty(column, row)).take(MAX_SIGNS) {
            let cell = grid.cell(column, row);
            let ink = self.shade(column, row).color(style.ground).map_or(roles.text, ink_on);
            if cell.w >= style.small.advance() && cell.h >= style.small.line() * 2 / 3 {
                let y = cell.y + (cell.h - style.small.line()) / 2;
                canvas.text_center(cell.x + cell.w / 2, y, FAULTY, style.label(ink).bold());
            } else {
                let side = (cell.w.min(cell.h) / 2).max(1);
                let (x, y) = (cell.x + (cell.w - side) / 2, cell.y + (cell.h - side) / 2);
                canvas.fill(Area::new(x, y, side, side), ink);
            }
        }
    }

    fn draw_rows(&self, canvas: &mut Canvas<'_>, grid: &Grid, labels: Area, style: &Style) {
        let roles = style.roles();
        let line = style.small.line();
        let n = self.rows.len();
        let per = (grid.area.h as usize / n.max(1)).max(1);
        let step = nice_step((line as usize).div_ceil(per));
        let number = |i: usize| self.rows.get(i).and_then(|r| r.number).unwrap_or(i);
        let regular = (0..n).filter(|i| number(*i).is_multiple_of(step));
        let special =
            self.cursor.map(|c| c.1).into_iter().chain(self.mark.as_ref().map(|m| m.row)).chain([0, n - 1]);
        let mut taken: Vec<i32> = Vec::new();
        for index in special.chain(regular) {
            let (Some(row), Some(bin)) = (self.rows.get(index), Grid::find(&grid.rows, index)) else {
                continue;
            };
            let y = grid.area.y + (bin.from + bin.to - line) / 2;
            if taken.iter().any(|t| (t - y).abs() < line) {
                continue;
            }
            taken.push(y);
            let chosen = self.cursor.is_some_and(|c| c.1 == index);
            let ink = style.label(if chosen { roles.accent } else { roles.dim });
            let text = fit(&row.label, ink.face.columns_in(labels.w - style.unit() / 2));
            canvas.text_right(labels.right() - style.unit() * 3 / 4, y, &text, ink);
            canvas.horizontal(grid.area.x - 4, grid.area.x - 1, y + line / 2, roles.line);
        }
    }

    fn draw_positions(&self, canvas: &mut Canvas<'_>, grid: &Grid, axis: Area, style: &Style) {
        let roles = style.roles();
        let unit = style.unit();
        let y = axis.y + unit / 2;
        let widest = style.small.width(&self.positions.last().copied().unwrap_or(0).to_string()) + 2 * unit;
        let n = self.positions.len();
        let step = nice_step((widest as usize * n).div_ceil(grid.area.w.max(1) as usize));
        let special = self.cursor.map(|c| c.0).into_iter().chain(self.mark.as_ref().map(|m| m.column));
        let regular = (0..n).filter(|&i| (self.positions[i] as usize).is_multiple_of(step));
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for index in special.chain(regular) {
            let Some(bin) = Grid::find(&grid.columns, index) else { continue };
            let center = grid.area.x + i32::midpoint(bin.from, bin.to);
            let text = self.positions[index].to_string();
            let half = style.small.width(&text) / 2;
            if taken.iter().any(|t| center - half < t.1 + unit && t.0 - unit < center + half) {
                continue;
            }
            taken.push((center - half, center + half));
            let chosen = self.cursor.is_some_and(|c| c.0 == index);
            canvas.vertical(center, grid.area.bottom() + 1, grid.area.bottom() + 4, roles.line);
            canvas.text_center(center, y, &text, style.label(if chosen { roles.accent } else { roles.dim }));
        }
        let mut y = y + style.small.line();
        let mut title = "position";
        let narrowest = grid.columns.iter().map(|c| c.to - c.from).min().unwrap_or(0);
        // Tokens under their columns, where at least four characters fit.
        if grid.columns.len() == n && !self.texts.is_empty() && narrowest >= style.small.advance() * 5 {
            let room = style.small.columns_in(narrowest - unit / 2);
            for (index, (bin, text)) in grid.columns.iter().zip(&self.texts).enumerate() {
                let chosen = self.cursor.is_some_and(|c| c.0 == index);
                let ink = style.label(if chosen { roles.accent } else { roles.text });
                canvas.text_center(grid.area.x + i32::midpoint(bin.from, bin.to), y, &fit(text, room), ink);
            }
            y += style.small.line();
            title = "position and token";
        }
        let folded = if grid.columns.len() < n {
            format!(
                "position ({n}, each column shows the worst of up to {})",
                n.div_ceil(grid.columns.len().max(1))
            )
        } else {
            title.to_owned()
        };
        let room = style.small.columns_in(axis.right() - grid.area.x);
        canvas.text(grid.area.x, y, &fit(&folded, room), style.label(roles.dim));
    }
}

/// Draws a run's signs; returns how many.
fn sign(
    canvas: &mut Canvas<'_>,
    grid: &Grid,
    (start, len): (usize, usize),
    row: Bin,
    glyph: char,
    style: &Style,
) -> usize {
    let dark = style.roles().ground;
    let first = grid.columns[start];
    let cell = grid.cell(first, row);
    if cell.w >= style.small.advance() && cell.h >= style.small.line() * 2 / 3 {
        for column in &grid.columns[start..start + len] {
            let cell = grid.cell(*column, row);
            let y = cell.y + (cell.h - style.small.line()) / 2;
            canvas.text_center(cell.x + cell.w / 2, y, &glyph.to_string(), style.label(dark).bold());
        }
        return len;
    }
    let run = grid.cell(Bin { to: grid.columns[start + len - 1].to, ..first }, row);
    if run.h < 3 || glyph == '·' {
        return 0;
    }
    let step = (run.h).clamp(4, 8);
    canvas.hatch(run, step, dark);
    (run.w / step) as usize + 1
}

fn draw_mark(canvas: &mut Canvas<'_>, grid: &Grid, cell: Area, callout: Area, label: &str, style: &Style) {
    let roles = style.roles();
    let center = (cell.x + cell.w / 2, cell.y + cell.h / 2);
    let radius = (cell.w.min(cell.h) / 2 + 4).clamp(7, style.unit() * 3 / 2 + 4);
    let ink: Ink = Ink { face: style.small, color: roles.text, bold: true };
    let right = canvas.area().right().min(callout.right());
    let text = fit(label, ink.face.columns_in(right - grid.area.x));
    let width = ink.face.width(&text);
    let x = (center.0 - width / 2).clamp(grid.area.x, (right - width).max(grid.area.x));
    canvas.text(x, callout.y, &text, ink);
    // From the label down to the ring; a dark seam keeps it visible on every colour.
    let (top, end) = (callout.y + style.small.line() + 2, center.1 - radius);
    canvas.fill(Area::new(center.0 - 1, top, 3, end - top), roles.ground);
    canvas.vertical(center.0, top, end, roles.text);
    canvas.circle(center, radius as u32, style.stroke() + 3, roles.ground);
    canvas.circle(center, radius as u32, style.stroke(), roles.text);
}

/// Height that [`draw_legend`] needs.
pub fn legend_height(style: &Style) -> i32 {
    style.small.line() * 2 + style.unit() * 3 / 2
}

/// The severity scale with its ticks, and the signs; with that of faulty operations where there are any.
pub fn draw_legend(canvas: &mut Canvas<'_>, area: Area, style: &Style, faulty: bool) {
    let roles = style.roles();
    let unit = style.unit();
    let ink = style.label(roles.dim);
    let swatches =
        [(Shade::Infinite, "NaN, ∞"), (Shade::Missing, "one side only"), (Shade::Mismatch, "not comparable")];
    let width = |text: &str| style.small.width(text) + style.small.line() + unit * 2;
    let all: i32 =
        swatches.iter().map(|s| width(s.1)).sum::<i32>() + if faulty { width(FAULTY_TEXT) } else { 0 };
    let unit_text = "× noise";
    let tail = style.small.width(unit_text) + 2 * unit;
    let with_swatches = area.w - all - tail >= unit * 34;
    let bar_w = (area.w - tail - if with_swatches { all } else { 0 }).clamp(0, unit * 60);
    let edge = style.small.width("1000") / 2;
    let bar = Area::new(area.x + edge, area.y + unit, bar_w - edge, style.small.line() * 3 / 5);
    if bar.w < unit * 8 {
        return;
    }
    let table = severity_table(style.ground);
    for bin in bins(table.len(), bar.w, table.len()) {
        canvas.fill(Area::new(bar.x + bin.from, bar.y, bin.to - bin.from, bar.h), table[bin.first]);
    }
    canvas.frame(Area::new(bar.x - 1, bar.y - 1, bar.w + 2, bar.h + 2), 1, roles.line);
    for (severity, text) in SEVERITY_TICKS {
        let Some(index) = severity_index(Severity(severity)) else { continue };
        let limit = severity.total_cmp(&Severity::LIMIT).is_eq();
        let x = bar.x + (i32::from(index) + i32::from(limit)) * bar.w / table.len() as i32;
        let ink = if limit { Ink { color: roles.text, ..ink } } else { ink };
        canvas.vertical(x, bar.bottom(), bar.bottom() + 3, ink.color);
        if limit {
            canvas.vertical(x, bar.y - 3, bar.bottom(), roles.text);
        }
        canvas.text_center(x, bar.bottom() + 3, text, ink);
    }
    canvas.text(bar.right() + unit, bar.y + (bar.h - style.small.line()) / 2, unit_text, ink);
    if with_swatches {
        let mut x = bar.right() + tail + unit;
        let side = style.small.line();
        for (shade, text) in swatches {
            let y = bar.y + (bar.h - side) / 2;
            let cell = Area::new(x, y + 1, side - 2, side - 2);
            if let (Some(color), Some(glyph)) = (shade.color(style.ground), shade.glyph()) {
                canvas.fill(cell, color);
                let ink = Ink { color: roles.ground, bold: true, ..ink };
                canvas.text_center(cell.x + cell.w / 2, y, &glyph.to_string(), ink);
            }
            canvas.text(x + side + unit / 2, y, text, ink);
            x += width(text);
        }
        if faulty {
            let y = bar.y + (bar.h - side) / 2;
            canvas.text_center(x + side / 2, y, FAULTY, Ink { color: roles.bad, bold: true, ..ink });
            canvas.text(x + side + unit / 2, y, FAULTY_TEXT, ink);
        }
    }
}
