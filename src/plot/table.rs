//! Rows of values of both sides and their difference: a site in every layer, the heads of a layer.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::canvas::{Area, Canvas};
use super::fold::largest;
use super::font::fit;
use super::heatmap::{draw_cells, draw_legend};
use super::style::{Bin, Style, bins, nice_step};
use crate::csv;
use crate::figures::count;
use crate::palette::{difference, enlargement};

/// Rectangles that one panel has at most in an SVG.
const MAX_VECTOR_CELLS: usize = 4_096;

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableRow<'a> {
    /// What stands beside it: `l 7`, `h 3`.
    pub label: String,
    /// What it is called where there is room: `Qcur-7`.
    pub name: String,
    /// The reference's and the candidate's values; none where a side lacks the row.
    pub sides: [Option<Cow<'a, [f32]>>; 2],
}

/// The data of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableData<'a> {
    /// What a row is: `layer`.
    pub row_title: &'static str,
    /// What a column is: `channel`.
    pub column_title: &'static str,
    /// The uppermost first.
    pub rows: Vec<TableRow<'a>>,
    /// Why a side has no values, where it has none.
    pub missing: [Option<String>; 2],
    /// Row and column of the cursor.
    pub cursor: (Option<usize>, Option<usize>),
    /// Whether there is no candidate at all.
    pub alone: bool,
}

impl TableData<'_> {
    /// Values in the longest row.
    pub fn width(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.sides).flatten().map(|side| side.len()).max().unwrap_or(0)
    }

    /// Candidate minus reference, row by row, over what both sides have.
    fn differences(&self) -> Vec<Vec<f32>> {
        let of = |row: &TableRow<'_>| match &row.sides {
            [Some(a), Some(b)] => a.iter().zip(&**b).map(|(&a, &b)| delta(a, b)).collect(),
            _ => Vec::new(),
        };
        self.rows.iter().map(of).collect()
    }

    /// The data as CSV: one line a value.
    pub fn csv(&self) -> String {
        let mut out = format!("{},{},reference,candidate,difference\n", self.row_title, self.column_title);
        let text = |v: Option<f32>| v.map_or(String::new(), |v| format!("{v}"));
        for row in &self.rows {
            let name = csv::field(&row.name);
            let len = row.sides.iter().flatten().map(|side| side.len()).max().unwrap_or(0);
            for column in 0..len {
                let [a, b] = row.sides.each_ref().map(|side| side.as_ref()?.get(column).copied());
                let difference = a.zip(b).map(|(a, b)| delta(a, b));
                let _ = writeln!(out, "{name},{column},{},{},{}", text(a), text(b), text(difference));
            }
        }
        out
    }

    /// One side's values, one row after the other, [`TableData::width`] each; NaN where there is none. The
    /// uppermost row is the last, so that layers and heads count upwards from 0.
    pub fn values(&self, side: usize) -> Vec<f32> {
        let width = self.width();
        let mut out = Vec::with_capacity(width * self.rows.len());
        for row in self.in_order() {
            let values = row.sides.get(side).and_then(Option::as_deref).unwrap_or_default();
            out.extend_from_slice(values);
            out.resize(out.len() + width - values.len(), f32::NAN);
        }
        out
    }

    /// Rows as they count: layers run upwards, heads downwards.
    fn in_order(&self) -> Vec<&TableRow<'_>> {
        let upwards = self.row_title == "layer";
        if upwards { self.rows.iter().rev().collect() } else { self.rows.iter().collect() }
    }

    /// Draws three panels on one scale, the difference enlarged by the power of ten in its heading.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        if self.rows.is_empty() {
            let why: Vec<&str> = self.missing.iter().flatten().map(String::as_str).collect();
            let why = if why.is_empty() { "nothing was recorded here".to_owned() } else { why.join("; ") };
            return style.nothing(canvas, area, &why);
        }
        let (panels, foot) = area.split_bottom(style.small.line() * 2 + style.unit() * 3 / 2);
        let differences = self.differences();
        let sides = self.rows.iter().flat_map(|row| &row.sides).flatten();
        let limit = sides.map(|side| largest(side)).fold(0.0, f32::max);
        let worst = differences.iter().map(|row| largest(row)).fold(0.0, f32::max);
        let power = enlargement(worst, limit);
        let labels = self.rows.iter().map(|row| style.small.width(&row.label)).max().unwrap_or(0);
        let (labels, panels) = panels.split_left(labels.min(area.w / 5) + style.unit());
        let side = |i: usize| -> Vec<&[f32]> {
            self.rows.iter().map(|row| row.sides[i].as_deref().unwrap_or_default()).collect()
        };
        let heading =
            if power == 0 { "difference".to_owned() } else { format!("difference × {}", 10u64.pow(power)) };
        let lacks = |i: usize| self.missing[i].clone().unwrap_or_else(|| "not recorded".to_owned());
        let parts = [
            ("reference".to_owned(), side(0), lacks(0), limit),
            ("candidate".to_owned(), side(1), lacks(1), limit),
            (
                heading,
                differences.iter().map(Vec::as_slice).collect(),
                "needs both sides".to_owned(),
                limit / 10f32.powi(power as i32),
            ),
        ];
        let n = if self.alone { 1 } else { parts.len() };
        let areas = panels.columns(n as i32, style.unit() * 2);
        for (i, (panel, (title, rows, without, limit))) in areas.into_iter().zip(parts).enumerate() {
            let bins = self.draw_panel(canvas, panel, style, &title, (&rows, &without), limit);
            if let (0, Some((plot, bins))) = (i, bins) {
                self.draw_labels(canvas, labels, plot, &bins, style);
            }
        }
        draw_legend(canvas, foot, style, limit);
    }

    /// Draws one panel; returns where its cells are, and its rows.
    fn draw_panel(
        &self,
        canvas: &mut Canvas<'_>,
        area: Area,
        style: &Style,
        title: &str,
        (rows, without): (&[&[f32]], &str),
        limit: f32,
    ) -> Option<(Area, Vec<Bin>)> {
        let roles = style.roles();
        let (head, rest) = area.split_top(style.normal.line());
        canvas.text(head.x, head.y, &fit(title, style.normal.columns_in(head.w)), style.ink(roles.text));
        let (body, _) = rest.split_bottom(style.small.line() * 2);
        let frame = body.inset(1, 1);
        if frame.is_empty() {
            return None;
        }
        let width = self.width();
        let largest = style.normal.line() * 4;
        let plot = Area::new(
            frame.x,
            frame.y,
            frame.w.min(width as i32 * largest),
            frame.h.min(rows.len() as i32 * largest),
        );
        let most = if canvas.is_vector() { MAX_VECTOR_CELLS } else { usize::MAX };
        let across = |down: usize| bins(width, plot.w, (most / down.max(1)).max(64));
        let mut down = bins(rows.len(), plot.h, most);
        let columns = across(down.len());
        if down.len() * columns.len() > most {
            down = bins(rows.len(), plot.h, most / columns.len().max(1));
        }
        if rows.iter().all(|row| row.is_empty()) {
            canvas.frame(body, 1, roles.line);
            style.nothing(canvas, frame, without);
        } else {
            canvas.fill(plot, roles.ground);
            draw_cells(
                canvas,
                plot,
                style,
                &|row| rows.get(row).copied().unwrap_or_default(),
                (&columns, &down),
                limit,
            );
            canvas.frame(Area::new(plot.x - 1, plot.y - 1, plot.w + 2, plot.h + 2), 1, roles.line);
            self.draw_axis(canvas, plot, area, &columns, style);
            self.draw_cursor(canvas, plot, (&columns, &down), style);
        }
        Some((plot, down))
    }

    fn draw_axis(&self, canvas: &mut Canvas<'_>, plot: Area, area: Area, columns: &[Bin], style: &Style) {
        let roles = style.roles();
        let (unit, y) = (style.unit(), plot.bottom() + style.unit() / 4);
        let width = self.width();
        let widest = style.small.width(&width.to_string()) + 2 * unit;
        let step = nice_step((widest as usize * width).div_ceil(plot.w.max(1) as usize));
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for column in self.cursor.1.into_iter().chain((0..width).step_by(step)) {
            let Some(bin) = columns.iter().find(|bin| (bin.first..bin.end).contains(&column)) else {
                continue;
            };
            let center = plot.x + i32::midpoint(bin.from, bin.to);
            let text = column.to_string();
            let half = style.small.width(&text) / 2;
            if taken.iter().any(|t| center - half < t.1 + unit && t.0 - unit < center + half) {
                continue;
            }
            taken.push((center - half, center + half));
            canvas.vertical(center, plot.bottom() + 1, plot.bottom() + 4, roles.line);
            let chosen = self.cursor.1 == Some(column);
            canvas.text_center(center, y, &text, style.label(if chosen { roles.accent } else { roles.dim }));
        }
        let each = width.div_ceil(columns.len().max(1));
        let title = if each > 1 {
            format!(
                "{} ({}, the largest of {each} a cell)",
                self.column_title,
                count(width, self.column_title)
            )
        } else {
            self.column_title.to_owned()
        };
        let room = style.small.columns_in(area.right() - plot.x);
        canvas.text(plot.x, y + style.small.line(), &fit(&title, room), style.label(roles.dim));
    }

    fn draw_cursor(
        &self,
        canvas: &mut Canvas<'_>,
        plot: Area,
        (columns, rows): (&[Bin], &[Bin]),
        style: &Style,
    ) {
        let find = |bins: &[Bin], at: Option<usize>| {
            bins.iter().copied().find(|bin| at.is_some_and(|at| (bin.first..bin.end).contains(&at)))
        };
        let Some(row) = find(rows, self.cursor.0) else { return };
        let column = find(columns, self.cursor.1);
        let (from, to) = column.map_or((0, plot.w), |column| (column.from, column.to));
        let cell = Area::new(plot.x + from - 1, plot.y + row.from - 1, to - from + 2, row.to - row.from + 2);
        canvas.frame(cell, 1, style.roles().accent);
    }

    fn draw_labels(&self, canvas: &mut Canvas<'_>, labels: Area, plot: Area, rows: &[Bin], style: &Style) {
        let roles = style.roles();
        let line = style.small.line();
        let mut taken: Vec<i32> = Vec::new();
        for index in self.cursor.0.into_iter().chain(0..self.rows.len()) {
            let found = rows.iter().find(|bin| (bin.first..bin.end).contains(&index));
            let (Some(row), Some(bin)) = (self.rows.get(index), found) else { continue };
            let y = plot.y + (bin.from + bin.to - line) / 2;
            if taken.iter().any(|t| (t - y).abs() < line) {
                continue;
            }
            taken.push(y);
            let chosen = self.cursor.0 == Some(index);
            let ink = style.label(if chosen { roles.accent } else { roles.dim });
            let text = fit(&row.label, ink.face.columns_in(labels.w - style.unit() / 2));
            canvas.text_right(labels.right() - style.unit() / 2, y, &text, ink);
        }
    }
}

/// Candidate minus reference; two NaN are alike.
fn delta(a: f32, b: f32) -> f32 {
    if a.is_nan() && b.is_nan() { 0.0 } else { difference(a, b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_as_they_count_and_what_is_missing_is_nan() {
        let row = |n: usize, sides: [Option<Vec<f32>>; 2]| TableRow {
            label: format!("l {n}"),
            name: format!("Qcur-{n}"),
            sides: sides.map(|side| side.map(Cow::Owned)),
        };
        let data = TableData {
            row_title: "layer",
            column_title: "channel",
            rows: vec![
                row(1, [Some(vec![1.0, 2.0]), Some(vec![1.5])]),
                row(0, [Some(vec![3.0, f32::NAN]), None]),
            ],
            ..TableData::default()
        };
        assert_eq!(
            data.csv(),
            "layer,channel,reference,candidate,difference\nQcur-1,0,1,1.5,0.5\nQcur-1,1,2,,\nQcur-0,0,3,,\n\
             Qcur-0,1,NaN,,\n"
        );
        let bits = |values: Vec<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(data.values(0)), bits(vec![3.0, f32::NAN, 1.0, 2.0]));
        assert_eq!(bits(data.values(1)), bits(vec![f32::NAN, f32::NAN, 1.5, f32::NAN]));
        assert!(TableData::default().csv().lines().count() == 1);
    }
}
