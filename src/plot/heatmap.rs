//! Two tensors and their difference side by side, on one scale.

use std::fmt::Write as _;

use super::canvas::{Area, Canvas, Ink};
use super::font::fit;
use super::style::{Bin, Style, bins};
use crate::figures::{count, figure};
use crate::palette::{VALUE_EXPONENT, value, value_glyph, value_table};
use crate::trace::Tensor;

/// Rectangles that one panel has at most in an SVG.
const MAX_VECTOR_CELLS: usize = 4_096;
/// Share of the magnitudes that lies within the scale; single outliers do not darken the rest.
const WITHIN_SCALE: f64 = 0.995;
/// Signs of values that are not finite that a panel has at most.
const MAX_SIGNS: usize = 1_000;

/// The data of a trio of heatmaps.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeatmapData<'a> {
    /// The reference's values.
    pub reference: Option<&'a Tensor>,
    /// The candidate's values.
    pub candidate: Option<&'a Tensor>,
    /// Whether there is no candidate at all.
    pub alone: bool,
}

/// How a tensor's values are laid out on the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    columns: usize,
    rows: usize,
    /// Whether a row is an axis of the tensor rather than a piece of a long vector.
    natural: bool,
}

impl Layout {
    /// Rows are the tensor's slower axes where it has any; a vector is wrapped so that the picture
    /// is as wide as `aspect` times its height.
    fn of(shape: &[u32], len: usize, aspect: f32) -> Self {
        let fastest = shape.first().copied().unwrap_or(0) as usize;
        if fastest > 1 && len > fastest && len.div_ceil(fastest) * 256 >= fastest {
            return Self { columns: fastest, rows: len.div_ceil(fastest), natural: true };
        }
        let ideal = (len as f32 * aspect).sqrt().max(1.0);
        // A power of two keeps heads and blocks aligned.
        let columns = (ideal as usize).next_power_of_two().min(len.max(1));
        Self { columns, rows: len.div_ceil(columns.max(1)), natural: false }
    }
}

impl HeatmapData<'_> {
    /// What the candidate has more than the reference; NaN where either is not a number.
    pub fn difference(&self) -> Option<Vec<f32>> {
        let (r, c) = (self.reference?, self.candidate?);
        Some(r.values.iter().zip(&c.values).map(|(r, c)| c - r).collect())
    }

    /// The axes by which all panels are laid out: those of the side that says more about them, as long
    /// as both sides have as many values.
    fn shape(&self) -> &[u32] {
        let axes = |t: &Tensor| t.shape.iter().filter(|&&n| n > 1).count();
        match (self.reference, self.candidate) {
            (Some(r), Some(c)) if r.values.len() == c.values.len() && axes(c) > axes(r) => &c.shape,
            (Some(t), _) | (None, Some(t)) => &t.shape,
            (None, None) => &[],
        }
    }

    /// The magnitude at the ends of the scale: 99.5 % of the reference's (or else the candidate's)
    /// values lie within.
    pub fn limit(&self) -> f32 {
        let values = self.reference.or(self.candidate).map_or(&[][..], |t| &t.values);
        let mut sizes: Vec<f32> = values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).collect();
        if sizes.is_empty() {
            return 1.0;
        }
        let at = ((sizes.len() - 1) as f64 * WITHIN_SCALE).ceil() as usize;
        let (_, limit, _) = sizes.select_nth_unstable_by(at, f32::total_cmp);
        if *limit > 0.0 { *limit } else { 1.0 }
    }

    /// The data as CSV: one line a channel.
    pub fn csv(&self) -> String {
        let mut out = String::from("channel,reference,candidate,difference\n");
        let get = |t: Option<&Tensor>, i: usize| t.and_then(|t| t.values.get(i).copied());
        let len = |t: Option<&Tensor>| t.map_or(0, |t| t.values.len());
        let text = |v: Option<f32>| v.map_or(String::new(), |v| format!("{v}"));
        for i in 0..len(self.reference).max(len(self.candidate)) {
            let (r, c) = (get(self.reference, i), get(self.candidate, i));
            let difference = r.zip(c).map(|(r, c)| c - r);
            let _ = writeln!(out, "{i},{},{},{}", text(r), text(c), text(difference));
        }
        out
    }

    /// Draws the three panels; with `legend` also the scale.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style, legend: bool) {
        let (panels, foot) = if legend {
            area.split_bottom(style.small.line() * 2 + style.unit() * 3 / 2)
        } else {
            (area, Area::default())
        };
        let shape = self.shape();
        let difference =
            self.difference().map(|values| Tensor { shape: shape.to_vec(), values, exact: true });
        let limit = self.limit();
        let gap = style.unit() * 2;
        let parts = [
            ("reference", self.reference, "not recorded"),
            ("candidate", self.candidate, "not recorded"),
            ("difference", difference.as_ref(), "needs both sides"),
        ];
        let n = if self.alone { 1 } else { parts.len() };
        for (panel, (title, tensor, without)) in panels.columns(n as i32, gap).into_iter().zip(parts) {
            draw_panel(canvas, panel, style, (title, without), (tensor, shape), limit);
        }
        if legend {
            draw_legend(canvas, foot, style, limit);
        }
    }
}

fn draw_panel(
    canvas: &mut Canvas<'_>,
    area: Area,
    style: &Style,
    (title, without): (&str, &str),
    (tensor, shape): (Option<&Tensor>, &[u32]),
    limit: f32,
) {
    let roles = style.roles();
    let (head, rest) = area.split_top(style.normal.line());
    canvas.text(head.x, head.y, &fit(title, style.normal.columns_in(head.w)), style.ink(roles.text));
    let (body, foot) = rest.split_bottom(style.small.line() * 2);
    let frame = body.inset(1, 1);
    let Some(tensor) = tensor.filter(|t| !t.values.is_empty()) else {
        canvas.frame(body, 1, roles.line);
        style.nothing(canvas, frame, without);
        return;
    };
    if frame.is_empty() {
        return;
    }
    let values = &tensor.values;
    let layout = Layout::of(shape, values.len(), frame.w as f32 / frame.h as f32);
    let most = if canvas.is_vector() { MAX_VECTOR_CELLS } else { usize::MAX };
    let largest = style.normal.line() * 4;
    let width = frame.w.min(layout.columns as i32 * largest);
    let height = frame.h.min(layout.rows as i32 * largest);
    let mut rows = bins(layout.rows, height, most);
    let columns = bins(layout.columns, width, (most / rows.len().max(1)).max(64));
    if rows.len() * columns.len() > most {
        rows = bins(layout.rows, height, most / columns.len().max(1));
    }
    let plot = Area::new(frame.x, frame.y, width, height);
    canvas.fill(plot, roles.ground);
    let row = |row: usize| {
        let ends = [row * layout.columns, (row + 1) * layout.columns].map(|end| end.min(values.len()));
        &values[ends[0]..ends[1]]
    };
    draw_cells(canvas, plot, style, &row, (&columns, &rows), limit);
    canvas.frame(Area::new(plot.x - 1, plot.y - 1, plot.w + 2, plot.h + 2), 1, roles.line);
    let (low, high) = values
        .iter()
        .filter(|v| v.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let shape = if layout.natural {
        format!("{} × {} values", layout.rows, layout.columns)
    } else if layout.rows == 1 {
        count(values.len(), "value")
    } else {
        format!("{}, {} a row", count(values.len(), "value"), layout.columns)
    };
    let folded = layout.rows.div_ceil(rows.len().max(1)) * layout.columns.div_ceil(columns.len().max(1));
    let shape = if folded > 1 {
        format!("{}, the largest of {folded} a cell", count(values.len(), "value"))
    } else {
        shape
    };
    let odd = values.iter().filter(|v| !v.is_finite()).count();
    let range = if low > high {
        "no finite value".to_owned()
    } else {
        format!("{} to {}", figure(low as f64), figure(high as f64))
    };
    let range = if odd > 0 { format!("{odd} not finite, {range}") } else { range };
    let y = plot.bottom() + style.unit() / 4;
    let room = style.small.columns_in(area.w);
    let ink = style.label(if odd > 0 { roles.nonfinite } else { roles.dim });
    canvas.text(foot.x, y, &fit(&range, room), ink);
    canvas.text(foot.x, y + style.small.line(), &fit(&shape, room), style.label(roles.dim));
}

/// The value that stands for many: the first that is not finite, else the largest in magnitude.
fn fold<'a>(values: &dyn Fn(usize) -> &'a [f32], column: Bin, row: Bin) -> Option<f32> {
    let mut worst: Option<f32> = None;
    for r in row.first..row.end {
        let values = values(r);
        for &v in &values[column.first.min(values.len())..column.end.min(values.len())] {
            if !v.is_finite() {
                return Some(v);
            }
            if worst.is_none_or(|w| v.abs() > w.abs()) {
                worst = Some(v);
            }
        }
    }
    worst
}

/// Draws the cells of a table; `values` gives a row.
pub(super) fn draw_cells<'a>(
    canvas: &mut Canvas<'_>,
    plot: Area,
    style: &Style,
    values: &dyn Fn(usize) -> &'a [f32],
    (columns, rows): (&[Bin], &[Bin]),
    limit: f32,
) {
    let mut signs = 0;
    for row in rows {
        let folded: Vec<_> = columns.iter().map(|c| fold(values, *c, *row)).collect();
        let looks: Vec<_> = folded.iter().map(|v| v.map(|v| value(v, limit, style.ground))).collect();
        let mut start = 0;
        for run in looks.chunk_by(|a, b| a == b) {
            let (first, last) = (columns[start], columns[start + run.len() - 1]);
            let area =
                Area::new(plot.x + first.from, plot.y + row.from, last.to - first.from, row.to - row.from);
            if let Some(color) = run[0] {
                canvas.fill(area, color);
            }
            for (column, v) in columns[start..].iter().zip(&folded[start..start + run.len()]) {
                let Some(glyph) = v.and_then(value_glyph) else { continue };
                let cell = Area::new(plot.x + column.from, area.y, column.to - column.from, area.h);
                if cell.w >= style.small.advance()
                    && cell.h >= style.small.line() * 2 / 3
                    && signs < MAX_SIGNS
                {
                    let y = cell.y + (cell.h - style.small.line()) / 2;
                    let ink = Ink { face: style.small, color: style.roles().ground, bold: true };
                    canvas.text_center(cell.x + cell.w / 2, y, &glyph.to_string(), ink);
                    signs += 1;
                }
            }
            start += run.len();
        }
    }
}

/// Draws the scale.
pub(super) fn draw_legend(canvas: &mut Canvas<'_>, area: Area, style: &Style, limit: f32) {
    let roles = style.roles();
    let unit = style.unit();
    let ink = style.label(roles.dim);
    let swatch = "NaN, ∞";
    let tail = style.small.width(swatch) + style.small.line() + unit * 3;
    let edge = style.small.width(&figure(-limit as f64)) / 2 + unit;
    let bar = Area::new(
        area.x + edge,
        area.y + unit,
        (area.w - 2 * edge - tail).min(unit * 60),
        style.small.line() * 3 / 5,
    );
    if bar.w < unit * 8 {
        return;
    }
    let table = value_table(style.ground);
    for bin in bins(table.len(), bar.w, table.len()) {
        canvas.fill(Area::new(bar.x + bin.from, bar.y, bin.to - bin.from, bar.h), table[bin.first]);
    }
    canvas.frame(Area::new(bar.x - 1, bar.y - 1, bar.w + 2, bar.h + 2), 1, roles.line);
    for part in [-1.0f32, -0.25, 0.0, 0.25, 1.0] {
        let place = 0.5 + 0.5 * part.abs().powf(VALUE_EXPONENT).copysign(part);
        let x = bar.x + (place * bar.w as f32) as i32;
        canvas.vertical(x, bar.bottom(), bar.bottom() + 3, roles.dim);
        canvas.text_center(x, bar.bottom() + 3, &figure((part * limit) as f64), ink);
    }
    let side = style.small.line();
    let x = bar.right() + edge + unit;
    let y = bar.y + (bar.h - side) / 2;
    canvas.fill(Area::new(x, y + 1, side - 2, side - 2), roles.nonfinite);
    canvas.text_center(x + side / 2 - 1, y, "×", Ink { color: roles.ground, bold: true, ..ink });
    canvas.text(x + side + unit / 2, y, swatch, ink);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[u32], values: Vec<f32>) -> Tensor {
        Tensor { shape: shape.to_vec(), values, exact: true }
    }

    #[test]
    fn layout_follows_the_axes_or_wraps() {
        assert_eq!(Layout::of(&[64, 32], 2048, 1.0), Layout { columns: 64, rows: 32, natural: true });
        let wrapped = Layout::of(&[4096], 4096, 1.0);
        assert_eq!((wrapped.columns, wrapped.rows, wrapped.natural), (64, 64, false));
        assert_eq!(Layout::of(&[], 0, 1.0).rows, 0);
        assert_eq!(Layout::of(&[1], 1, 3.0).rows, 1);
    }

    #[test]
    fn scale_ignores_outliers_and_what_is_not_finite() {
        let mut values = vec![1.0; 999];
        values.extend([1e9, f32::NAN, f32::INFINITY]);
        let t = tensor(&[1002], values);
        let data = HeatmapData { reference: Some(&t), candidate: None, alone: false };
        assert_eq!(data.limit(), 1.0);
        let zero = tensor(&[2], vec![0.0, 0.0]);
        assert_eq!(HeatmapData { reference: Some(&zero), candidate: None, alone: false }.limit(), 1.0);
        assert_eq!(HeatmapData::default().limit(), 1.0);
    }

    #[test]
    fn folding_keeps_what_stands_out() {
        let values = [0.1, -3.0, 2.0, f32::NAN];
        let all = |n| Bin { first: 0, end: n, from: 0, to: 1 };
        assert_eq!(fold(&|_| &values[..3], all(3), all(1)), Some(-3.0));
        assert!(fold(&|row| &values[2 * row..2 * row + 2], all(2), all(2)).is_some_and(f32::is_nan));
        assert_eq!(fold(&|_| &values[..1], Bin { first: 1, end: 2, from: 0, to: 1 }, all(1)), None);
    }

    #[test]
    fn csv_has_a_line_a_channel_also_when_lengths_differ() {
        let (r, c) = (tensor(&[2], vec![1.0, f32::NAN]), tensor(&[1], vec![1.5]));
        let csv = HeatmapData { reference: Some(&r), candidate: Some(&c), alone: false }.csv();
        assert_eq!(csv, "channel,reference,candidate,difference\n0,1,1.5,0.5\n1,NaN,,\n");
    }
}
