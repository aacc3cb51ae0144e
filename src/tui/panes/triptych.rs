//! Reference, candidate and difference of a table, side by side: rows with labels, columns with a ruler.
//!
//! ```text
//!        reference       candidate       difference ×100
//! l 3 █  ▓▓░░▓▒▒░▓       ▓▓░░▓▒▒░▓       ·····█·█·
//! l 2 -  ▓▓░░▓▒▒░▓       ▓▓░░▓▒▒░▓       ·····█·█·
//!        0    ▲17        0    ▲17        0    ▲17
//! ```
//!
//! Both sides share one scale, which the difference has enlarged by the power of ten in its heading.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::fold::{furthest, largest};
use super::grid::{Grid, Plan, Room};
use super::scale::{difference, enlargement};
use super::{Context, put, span};
use crate::tui::theme::{Role, Theme};

/// Columns between two pictures.
const GAP: u16 = 2;

/// Rows of values of both sides, the uppermost first.
#[derive(Debug)]
pub struct Table<'a> {
    /// Values in the longest row.
    pub row_len: usize,
    /// Reference and candidate; nothing where a side lacks the row.
    pub rows: Vec<[Option<&'a [f32]>; 2]>,
}

impl<'a> Table<'a> {
    /// A table of these rows.
    pub fn new(rows: Vec<[Option<&'a [f32]>; 2]>) -> Self {
        let row_len = rows.iter().flatten().flatten().map(|values| values.len()).max().unwrap_or(0);
        Self { row_len, rows }
    }

    /// Candidate minus reference of a row, where both have it.
    fn delta(&self, row: usize, out: &mut Vec<f32>) {
        out.clear();
        if let Some(&[Some(a), Some(b)]) = self.rows.get(row) {
            // Two NaN are alike: nothing differs there.
            let delta = |a: f32, b: f32| if a.is_nan() && b.is_nan() { 0.0 } else { difference(a, b) };
            out.extend(a.iter().zip(b).map(|(&a, &b)| delta(a, b)));
        }
    }
}

/// A table folded for one size of picture.
#[derive(Debug)]
pub struct Triptych {
    row_len: usize,
    plan: Plan,
    grids: [Grid; 3],
    /// Whether reference, candidate and difference have any value.
    there: [bool; 3],
    /// Magnitude at the ends of the scale.
    pub limit: f32,
    /// Tens by which the difference is enlarged.
    power: u32,
    /// Where the sides differ most: row, column, difference.
    pub worst: Option<(usize, usize, f32)>,
}

impl Triptych {
    /// Folds a table into pictures that fit in so much room.
    pub fn new(table: &Table<'_>, room: Room) -> Self {
        let plan = room.plan(|columns, rows| Plan::of_rows(table.row_len, table.rows.len(), columns, rows));
        let mut grids = [(); 3].map(|()| Grid::blank(plan));
        // What is not finite on one side only is worse than any number.
        let size = |delta: f32| if delta.is_finite() { delta.abs() } else { f32::INFINITY };
        let mut worst: Option<(usize, usize, f32)> = None;
        let (mut limit, mut largest_delta, mut deltas) = (0.0f32, 0.0f32, Vec::new());
        for (row, sides) in table.rows.iter().enumerate() {
            for (grid, values) in grids.iter_mut().zip(sides) {
                let values = values.unwrap_or_default();
                limit = limit.max(largest(values));
                grid.add_row(row, values);
            }
            table.delta(row, &mut deltas);
            grids[2].add_row(row, &deltas);
            largest_delta = largest_delta.max(largest(&deltas));
            let Some(here) = furthest(&deltas).map(size) else { continue };
            if worst.is_none_or(|(_, _, found)| here > size(found))
                && let Some(column) = deltas.iter().position(|&delta| size(delta) == here)
            {
                worst = Some((row, column, deltas[column]));
            }
        }
        let has = |side: usize| table.rows.iter().any(|row| row[side].is_some());
        Self {
            row_len: table.row_len.max(1),
            plan,
            grids,
            there: [has(0), has(1), table.rows.iter().any(|row| row.iter().all(Option::is_some))],
            limit,
            power: enlargement(largest_delta, limit),
            worst,
        }
    }

    /// Columns and rows of the table that a cell of the picture stands for.
    pub fn fold(&self) -> (usize, usize) {
        self.plan.fold()
    }

    /// The table's rows on a line of the picture.
    fn rows_at(&self, line: usize, place: Rect) -> Range<usize> {
        let (per_line, down) = (self.plan.dots().down, self.grids[0].zoom(place).1);
        let (first, last) = (line * per_line / down, (line * per_line + per_line - 1) / down);
        first * self.plan.fold().1..(last + 1) * self.plan.fold().1
    }

    /// Lines of the picture.
    fn lines(&self, place: Rect) -> u16 {
        self.grids[0].extent(place).1
    }

    /// The column of the terminal, counted from the picture's left edge, where a column of the table is.
    fn column_at(&self, column: usize, place: Rect) -> usize {
        self.plan.cell(column).0 * self.grids[0].zoom(place).0 / self.plan.dots().across
    }

    /// Draws it; `point` is the row and column under the cursor, `label` what stands left of some rows.
    pub fn draw(
        &self,
        context: Context<'_>,
        places: &Places,
        point: (Option<usize>, Option<usize>),
        label: impl Fn(Range<usize>, bool) -> Vec<Span<'static>>,
        buf: &mut Buffer,
    ) {
        let theme = *context.theme;
        let difference = if self.power == 0 {
            "difference".to_owned()
        } else {
            format!("diff. ×{}", 10u64.pow(self.power))
        };
        let headings =
            [("reference", Role::Reference), ("candidate", Role::Candidate), (&*difference, Role::Text)];
        let pointed = point.0.zip(point.1).map(|(row, column)| (row * self.row_len + column) as u32);
        for (i, (text, role)) in headings.into_iter().enumerate() {
            let place = places.pictures[i];
            put(buf, places.heading(i), 0, &Line::from(span(text, theme.bold(role))));
            let limit = if i == 2 { self.limit / 10f32.powi(self.power as i32) } else { self.limit };
            if self.there[i] {
                self.grids[i].draw(context, limit, pointed, place, buf);
                self.ruler(theme, places, i, point.1, buf);
            } else {
                let why = if i == 2 { "needs both" } else { "not recorded" };
                put(buf, place, 0, &Line::from(span(why, theme.style(Role::Missing))));
            }
        }
        for line in 0..self.lines(places.pictures[0]) {
            let rows = self.rows_at(line as usize, places.pictures[0]);
            let before = line.checked_sub(1).map(|l| self.rows_at(l as usize, places.pictures[0]));
            let selected = point.0.is_some_and(|row| rows.contains(&row));
            // A row of several lines has its label on the first of them.
            if before.is_none_or(|before| before.start != rows.start) {
                put(buf, places.labels, line, &Line::from(label(rows, selected)));
            }
        }
    }

    fn ruler(&self, theme: Theme, places: &Places, picture: usize, column: Option<usize>, buf: &mut Buffer) {
        if !places.has_ruler {
            return;
        }
        let place = places.pictures[picture];
        let (used, y) = self.grids[0].extent(place);
        let line = Rect { y: place.y + y, height: 1, width: used, ..place };
        let mut write = |x: u16, text: &str, style: Style| {
            let place = Rect { x: line.x + x, width: line.width.saturating_sub(x), ..line };
            put(buf, place, 0, &Line::from(span(text, style)));
        };
        let last = (self.row_len - 1).to_string();
        let end = used.saturating_sub(last.len() as u16);
        let here = column.map(|column| {
            let x = (self.column_at(column, place) as u16).min(used.saturating_sub(1));
            let text = column.to_string();
            let width = text.len() as u16 + 1;
            if x + width <= used {
                (x, format!("▲{text}"), width)
            } else {
                (x.saturating_sub(width - 1), format!("{text}▲"), width)
            }
        });
        let free = |from: u16, to: u16| here.as_ref().is_none_or(|(x, _, width)| to < *x || from > x + width);
        if free(0, 1) {
            write(0, "0", theme.style(Role::Dim));
        }
        if end > 2 && free(end, used) {
            write(end, &last, theme.style(Role::Dim));
        }
        if let Some((x, text, _)) = here {
            write(x, &text, theme.bold(Role::Accent));
        }
    }

    /// Rows and columns of the table at a place of the screen.
    pub fn hit(&self, places: &Places, x: u16, y: u16) -> Option<(Range<usize>, Range<usize>)> {
        let place = *places.pictures.iter().find(|place| place.contains((x, y).into()))?;
        let (zoom, per_column) = (self.grids[0].zoom(place).0, self.plan.dots().across);
        let (column, line) = ((x - place.x) as usize, (y - place.y) as usize);
        // A character may show several cells.
        let cells = column * per_column / zoom..(column * per_column + per_column - 1) / zoom + 1;
        if cells.start >= self.grids[0].columns || line >= self.lines(place) as usize {
            return None;
        }
        let fold = self.plan.fold().0;
        let columns = cells.start * fold..(cells.end * fold).min(self.row_len);
        Some((self.rows_at(line, place), columns))
    }
}

/// Where the parts of a triptych are.
#[derive(Debug)]
pub struct Places {
    labels: Rect,
    pictures: [Rect; 3],
    has_ruler: bool,
}

impl Places {
    /// Parts of `area` with labels of this width; nothing if there is no room for pictures.
    pub fn new(area: Rect, label_width: u16) -> Option<Self> {
        let has_ruler = area.height >= 5;
        let height = area.height.checked_sub(1 + u16::from(has_ruler))?;
        let width = area.width.checked_sub(label_width + 1 + 2 * GAP)? / 3;
        if width < 4 || height == 0 {
            return None;
        }
        let y = area.y + 1;
        let picture = |i: u16| Rect { x: area.x + label_width + 1 + i * (width + GAP), y, width, height };
        Some(Self {
            labels: Rect { y, width: label_width, height, ..area },
            pictures: [picture(0), picture(1), picture(2)],
            has_ruler,
        })
    }

    /// The room that a picture has.
    pub fn room(&self, context: Context<'_>) -> Room {
        Room::new(context, self.pictures[0])
    }

    fn heading(&self, picture: usize) -> Rect {
        let place = self.pictures[picture];
        Rect { y: place.y - 1, height: 1, ..place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::graphics::Dots;

    fn room(columns: usize, lines: usize) -> Room {
        Room { columns, lines, levels: &[Dots::SIGN], dots: Dots::SIGN }
    }

    #[test]
    fn rows_that_a_side_lacks_stay_empty_and_the_worst_is_found() {
        let (a, b) = ([1.0, 2.0, 3.0], [1.0, 2.5, f32::NAN]);
        let table = Table::new(vec![
            [Some(&a[..]), None],
            [Some(&a[..]), Some(&b[..2])],
            [Some(&b[..]), Some(&b[..])],
        ]);
        let folded = Triptych::new(&table, room(10, 10));
        assert_eq!(folded.worst, Some((1, 1, 0.5)), "NaN on both sides is no difference");
        assert_eq!((folded.limit, folded.there), (3.0, [true; 3]));
        let mut deltas = Vec::new();
        table.delta(1, &mut deltas);
        assert_eq!(deltas, [0.0, 0.5], "over what both sides have");
        table.delta(0, &mut deltas);
        assert!(deltas.is_empty());
        let table = Table::new(vec![[Some(&a[..]), Some(&b[..])]]);
        assert!(
            Triptych::new(&table, room(1, 1))
                .worst
                .is_some_and(|(_, column, delta)| column == 2 && delta.is_nan())
        );
        assert_eq!(Triptych::new(&Table::new(Vec::new()), room(3, 3)).worst, None);
    }

    #[test]
    fn everything_folds_into_the_picture() {
        let row: Vec<f32> = (0..8192).map(|i| i as f32).collect();
        let table = Table::new(vec![[Some(&row[..]), Some(&row[..])]; 80]);
        for size in [[1, 1], [7, 3], [60, 40], [300, 200]] {
            let folded = Triptych::new(&table, room(size[0], size[1]));
            let (columns, rows) = (folded.grids[0].columns, folded.grids[0].rows);
            assert!(columns <= size[0] && rows <= size[1], "{size:?}: {columns}×{rows}");
        }
    }
}
