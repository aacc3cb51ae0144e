//! A tensor folded into a grid of cells: two to a character, or as many as there are pixels for.

use ratatui::layout::Rect;

use super::Context;
use super::fold::{fold_in, furthest};
use crate::tui::graphics::Dots;

/// A tensor's values laid out in rows, each cell the value furthest from zero among those it
/// stands for; a value that is not finite wins over all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    cells: Vec<Option<f32>>,
    plan: Plan,
}

/// The room for a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Columns of the terminal.
    pub columns: usize,
    /// Lines of the terminal.
    pub lines: usize,
    /// How finely values may be told apart, the coarsest first.
    pub levels: &'static [Dots],
    /// What the sizes of cells are multiples of.
    pub dots: Dots,
}

impl Room {
    /// What there is of `area` on this terminal.
    pub fn new(context: Context<'_>, area: Rect) -> Self {
        let (levels, dots): (&'static [Dots], Dots) = match context.pictures {
            Some(pictures) => (pictures.levels(), pictures.dots()),
            None if context.theme.paints() => (&[Dots::HALVES], Dots::HALVES),
            None => (&[Dots::SIGN], Dots::SIGN),
        };
        Self { columns: area.width.into(), lines: area.height.into(), levels, dots }
    }

    /// The plan that `make` has for so many columns and rows of cells: of the coarsest cells that stand for
    /// one value each, or else of the finest.
    pub fn plan(&self, make: impl Fn(usize, usize) -> Plan) -> Plan {
        let of = |level: &Dots| Plan {
            dots: self.dots,
            ..make(self.columns * level.across, self.lines * level.down)
        };
        let Some((finest, coarser)) = self.levels.split_last() else { return of(&Dots::SIGN) };
        coarser.iter().map(of).find(|plan| plan.channels_per_cell() == 1).unwrap_or_else(|| of(finest))
    }

    /// Tells rooms apart for which values are folded differently.
    pub fn key(&self) -> [usize; 2] {
        let finest = self.levels.last().copied().unwrap_or(Dots::SIGN);
        // Pixels and half blocks may fold alike, and are laid out differently.
        [self.columns * finest.across * 8 + self.dots.across, self.lines * finest.down * 16 + self.dots.down]
    }
}

/// How channels fall into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Channels in one row of the tensor.
    row_len: usize,
    /// Rows of the tensor.
    row_count: usize,
    /// Channels folded into one cell, across and down.
    fold: (usize, usize),
    /// Dots in a character. A cell takes whole dots.
    dots: Dots,
}

impl Plan {
    /// A plan for a tensor of this shape in at most `columns` × `rows` cells. One row of channels is
    /// one row of the tensor (a head) where it has rows, else what fills the space best.
    pub fn new(shape: &[u32], len: usize, columns: usize, rows: usize) -> Self {
        let (columns, rows) = (columns.max(1), rows.max(1));
        let inner = shape.first().map_or(len, |&n| n as usize).max(1);
        let has_rows = shape.iter().skip(1).any(|&n| n > 1) && inner < len;
        let row_len = if has_rows { inner } else { natural_width(len, columns, rows) };
        let row_count = len.div_ceil(row_len).max(1);
        let fold = (row_len.div_ceil(columns).max(1), row_count.div_ceil(rows).max(1));
        Self { row_len, row_count, fold, dots: Dots::SIGN }
    }

    /// A plan for rows that stay rows: every row of channels is one of the grid's, or several are folded.
    pub fn of_rows(row_len: usize, row_count: usize, columns: usize, rows: usize) -> Self {
        let (row_len, row_count) = (row_len.max(1), row_count.max(1));
        let fold = (row_len.div_ceil(columns.max(1)).max(1), row_count.div_ceil(rows.max(1)).max(1));
        Self { row_len, row_count, fold, dots: Dots::SIGN }
    }

    /// The cell that `channel` falls into.
    pub fn cell(&self, channel: usize) -> (usize, usize) {
        (channel % self.row_len / self.fold.0, channel / self.row_len / self.fold.1)
    }

    /// Columns and rows of the grid.
    pub fn size(&self) -> (usize, usize) {
        (self.row_len.div_ceil(self.fold.0), self.row_count.div_ceil(self.fold.1))
    }

    /// Channels and rows that one cell stands for.
    pub fn fold(&self) -> (usize, usize) {
        self.fold
    }

    /// Dots of a picture in one character.
    pub fn dots(&self) -> Dots {
        self.dots
    }

    /// Channels that one cell stands for.
    pub fn channels_per_cell(&self) -> usize {
        self.fold.0 * self.fold.1
    }
}

/// Row length for a tensor without rows: the widest that leaves no ragged end, if one fills at
/// least half of the width; else the whole width, or more where the rows would not fit.
fn natural_width(len: usize, columns: usize, rows: usize) -> usize {
    let len = len.max(1);
    if len <= columns {
        return len;
    }
    let even = (columns / 2 + 1..=columns).rev().find(|w| len.is_multiple_of(*w) && len / w <= rows);
    even.unwrap_or_else(|| {
        // Cells of several channels: whole cells in a row, as many as there are columns.
        let per_cell = len.div_ceil(columns * rows);
        columns * per_cell
    })
}

impl Grid {
    /// Lays out `value(channel)` for the first `len` channels; beyond `known` there are none.
    pub fn new(plan: Plan, known: usize, value: impl Fn(usize) -> f32) -> Self {
        let mut grid = Self::blank(plan);
        let known = known.min(plan.row_len * plan.row_count);
        let mut values = Vec::with_capacity(plan.row_len);
        for (row, start) in (0..known).step_by(plan.row_len).enumerate() {
            values.clear();
            values.extend((start..known.min(start + plan.row_len)).map(&value));
            grid.add_row(row, &values);
        }
        grid
    }

    /// A grid without values.
    pub fn blank(plan: Plan) -> Self {
        let (columns, rows) = plan.size();
        Self { columns, rows, cells: vec![None; columns * rows], plan }
    }

    /// Folds the values of one row of the tensor in.
    pub fn add_row(&mut self, row: usize, values: &[f32]) {
        let start = row / self.plan.fold.1 * self.columns;
        let values = &values[..values.len().min(self.plan.row_len)];
        let Some(cells) = self.cells.get_mut(start..start + self.columns) else { return };
        for (cell, values) in cells.iter_mut().zip(values.chunks(self.plan.fold.0)) {
            if let Some(value) = furthest(values) {
                fold_in(cell, value);
            }
        }
    }

    /// How channels fall into cells.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Dots across and down for one cell: small tensors are drawn larger. Cells of less than a line share
    /// it evenly, so that rows and lines never drift apart.
    pub fn zoom(&self, area: Rect) -> (usize, usize) {
        const MOST: usize = 4;
        let Dots { across, down } = self.plan.dots;
        let columns = area.width as usize * across / self.columns.max(1);
        let rows = (area.height as usize * down / self.rows.max(1)).max(1);
        let half = (down / 2).max(1);
        let even = if rows < down { 1 << rows.ilog2() } else { rows / half * half };
        (columns.clamp(1, MOST * across), even.min(MOST * down.div_ceil(2)))
    }

    /// Columns and lines of the terminal that the picture takes.
    pub fn extent(&self, area: Rect) -> (u16, u16) {
        let (Dots { across, down }, zoom) = (self.plan.dots, self.zoom(area));
        let columns = (self.columns * zoom.0).div_ceil(across).min(area.width as usize);
        let lines = (self.rows * zoom.1).div_ceil(down).min(area.height as usize);
        (columns as u16, lines as u16)
    }

    /// The value of a cell, if it has any.
    pub(super) fn at(&self, x: usize, y: usize) -> Option<f32> {
        (y < self.rows && x < self.columns).then(|| self.cells[y * self.columns + x]).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_rows_and_rows_without_heads_fill_the_space() {
        assert_eq!(Plan::new(&[64, 32], 2048, 64, 32).size(), (64, 32));
        assert_eq!(Plan::new(&[64, 32], 2048, 20, 16).size(), (16, 16));
        assert_eq!(Plan::new(&[256], 256, 24, 16).size(), (16, 16));
        assert_eq!(Plan::new(&[10], 10, 24, 16).size(), (10, 1));
        let logits = Plan::new(&[32000], 32000, 24, 16);
        assert!(logits.size().0 <= 24 && logits.size().1 <= 16, "{logits:?}");
        assert_eq!(logits.channels_per_cell(), 84);
        assert_eq!(Plan::new(&[], 0, 24, 16).size(), (1, 1));
    }

    #[test]
    fn every_channel_falls_into_the_grid() {
        for (shape, len) in
            [(vec![64, 32], 2048), (vec![2000], 2000), (vec![7, 3], 21), (vec![1], 1), (vec![152064], 152064)]
        {
            for columns in [1, 3, 13, 60] {
                for rows in [1, 2, 7, 40] {
                    let plan = Plan::new(&shape, len, columns, rows);
                    let (w, h) = plan.size();
                    assert!(w <= columns && h <= rows, "{shape:?} {columns}×{rows}: {w}×{h}");
                    let (x, y) = plan.cell(len - 1);
                    assert!(x < w && y < h);
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_never_folded_away() {
        let mut values = vec![9.0; 64];
        values[10] = f32::NAN;
        values[40] = -11.0;
        let grid = Grid::new(Plan::new(&[64], 64, 2, 1), 64, |c| values[c]);
        assert!(grid.at(0, 0).unwrap().is_nan());
        assert_eq!(grid.at(1, 0), Some(-11.0));
        let partial = Grid::new(Plan::new(&[4], 4, 4, 1), 2, |c| values[c]);
        assert_eq!([0, 1, 2, 3].map(|x| partial.at(x, 0).is_some()), [true, true, false, false]);
    }
}
