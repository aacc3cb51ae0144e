//! How many of what size: sizes on a logarithmic axis, with columns of their own for exact zeros and
//! for what is not finite.

use std::fmt::Write as _;

use super::axis::Axis;
use super::canvas::{Area, Canvas, Ink};
use super::chart::Chart;
use super::font::fit;
use super::style::{Style, nice_step};
use crate::compare::Severity;
use crate::figures::count;
use crate::palette::{Rgb, severity};

/// Steps of a decade, if there are few decades.
const STEPS: i32 = 5;
/// Columns at most.
const MAX_COLUMNS: i32 = 120;

/// The data of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramData {
    /// What is counted: `value`, `cell`.
    pub noun: &'static str,
    /// What the sizes are, with their unit.
    pub axis: String,
    /// Whether sizes are severities, which have colours of their own.
    pub severities: bool,
    /// A size that matters, and its name.
    pub limit: Option<(f64, &'static str)>,
    /// What a zero means.
    pub zero_is: &'static str,
    /// Sizes that are exactly zero.
    pub zero: u64,
    /// Sizes that are not finite.
    pub nonfinite: u64,
    /// Sizes from, to (exclusive), and how many, ascending and without gaps.
    pub columns: Vec<(f64, f64, u64)>,
}

impl HistogramData {
    /// Counts sizes, which are not negative.
    #[must_use]
    pub fn counting(mut self, sizes: &[f64]) -> Self {
        let positive = || sizes.iter().copied().filter(|s| *s > 0.0 && s.is_finite());
        self.zero = sizes.iter().filter(|s| **s == 0.0).count() as u64;
        self.nonfinite = sizes.iter().filter(|s| !s.is_finite()).count() as u64;
        if positive().next().is_none() {
            return self;
        }
        let axis = Axis::log(positive().chain(self.limit.map(|l| l.0)), 1);
        let n = (axis.decades() * STEPS).min(MAX_COLUMNS);
        let edge = |i: i32| axis.value(f64::from(i) / f64::from(n));
        self.columns = (0..n).map(|i| (edge(i), edge(i + 1), 0)).collect();
        for size in positive() {
            let at = axis.share(size).map_or(0, |s| (s * f64::from(n)) as usize);
            if let Some(column) = self.columns.get_mut(at.min(n as usize - 1)) {
                column.2 += 1;
            }
        }
        self
    }

    fn total(&self) -> u64 {
        self.zero + self.nonfinite + self.columns.iter().map(|c| c.2).sum::<u64>()
    }

    /// The data as CSV: one line a column.
    pub fn csv(&self) -> String {
        let mut out = format!("from,to,{}s\n", self.noun);
        if self.zero > 0 {
            let _ = writeln!(out, "0,0,{}", self.zero);
        }
        for (from, to, n) in &self.columns {
            let _ = writeln!(out, "{from:e},{to:e},{n}");
        }
        if self.nonfinite > 0 {
            let _ = writeln!(out, "NaN,NaN,{}", self.nonfinite);
        }
        out
    }

    /// Draws columns and axes.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        if self.total() == 0 {
            style.nothing(canvas, area, "nothing compared yet");
            return;
        }
        let roles = style.roles();
        let unit = style.unit();
        let Some((plane, x_ticks, y_ticks)) = Chart::plane(area, style) else { return };
        // Zeros and what is not finite stand apart, at the left and at the right.
        let side = (style.small.width("NaN, ∞") + unit).min(plane.w / 4);
        let left = if self.zero > 0 { side + unit * 3 } else { 0 };
        let right = if self.nonfinite > 0 { side + unit * 3 } else { 0 };
        let plot = Area::new(plane.x + left, plane.y, plane.w - left - right, plane.h);
        let most = self.columns.iter().map(|c| c.2).chain([self.zero, self.nonfinite]).max().unwrap_or(1);
        let ends = self.columns.first().zip(self.columns.last()).map(|(a, b)| [a.0, b.1]);
        let chart = Chart {
            plot: plane,
            x: Axis::log(ends.unwrap_or([0.1, 1.0]).into_iter(), x_ticks),
            y: Axis::linear(
                [0.0, most as f64].into_iter(),
                y_ticks.min(nice_step(most as usize).max(1)).min(8),
            ),
        };
        self.draw_frame(canvas, &chart, plot, style);
        let n = self.columns.len() as i32;
        for (i, (from, to, count)) in self.columns.iter().enumerate() {
            let (x0, x1) = (plot.w * i as i32 / n, plot.w * (i as i32 + 1) / n);
            let column = Area::new(plot.x + x0, plot.y, (x1 - x0 - i32::from(x1 - x0 > 3)).max(1), plot.h);
            let middle = (from * to).sqrt();
            let color =
                if self.severities { severity(Severity(middle as f32), style.ground) } else { roles.accent };
            rise(canvas, column, &chart.y, *count, color);
        }
        let own = |x: i32| Area::new(x, plane.y, side, plane.h);
        if self.zero > 0 {
            rise(canvas, own(plane.x + unit / 2), &chart.y, self.zero, roles.good);
        }
        if self.nonfinite > 0 {
            let column = own(plane.right() - side - unit / 2);
            let high = rise(canvas, column, &chart.y, self.nonfinite, roles.nonfinite);
            canvas.hatch(high, 6, roles.ground);
        }
        if let Some((limit, name)) = self.limit.filter(|_| !self.columns.is_empty())
            && let Some(x) = chart.x.pixel(limit, plot.w)
        {
            canvas.fill(Area::new(plot.x + x - 1, plot.y, 2, plot.h), roles.text);
            let ink = Ink { bold: true, ..style.label(roles.text) };
            // At its right, or at its left where that has no room.
            let width = style.small.width(name);
            let right = plot.x + x + unit / 2;
            let left = if right + width > plot.right() { right - width - unit } else { right };
            canvas.text(left, plot.y + unit / 4, name, ink);
        }
    }

    fn draw_frame(&self, canvas: &mut Canvas<'_>, chart: &Chart, plot: Area, style: &Style) {
        let roles = style.roles();
        let unit = style.unit();
        let plane = chart.plot;
        let (line, ink) = (style.small.line(), style.label(roles.dim));
        let grid = roles.panel.mix(roles.line, 0.6);
        canvas.fill(plane, roles.ground);
        for (value, label) in chart.y.ticks().into_iter().filter(|t| t.0.fract() == 0.0) {
            let Some(share) = chart.y.pixel(value, plane.h - 1) else { continue };
            let y = plane.bottom() - 1 - share;
            canvas.horizontal(plane.x, plane.right(), y, grid);
            canvas.text_right(plane.x - unit, y - line / 2, &label, ink);
        }
        let y = plane.bottom() + unit / 2;
        if !self.columns.is_empty() {
            for (value, label) in chart.x.ticks() {
                let Some(x) = chart.x.pixel(value, plot.w) else { continue };
                canvas.vertical(plot.x + x, plot.bottom(), plot.bottom() + 4, roles.line);
                canvas.text_center(plot.x + x, y, &label, ink);
            }
        }
        if self.zero > 0 {
            let x = plane.x + (plot.x - plane.x) / 2 - unit / 2;
            canvas.text_center(x, y, "0", style.label(roles.good));
        }
        if self.nonfinite > 0 {
            let x = plane.right() - (plane.right() - plot.right()) / 2 + unit / 2;
            canvas.text_center(x, y, "NaN, ∞", Ink { bold: true, ..style.label(roles.nonfinite) });
        }
        canvas.frame(Area::new(plane.x - 1, plane.y - 1, plane.w + 2, plane.h + 2), 1, roles.line);
        let mut text = format!("{}; {} in all", self.axis, count(self.total() as usize, self.noun));
        if self.zero > 0 {
            let _ = write!(text, ", {} {}", self.zero, self.zero_is);
        }
        if self.nonfinite > 0 {
            let _ = write!(text, ", {} not finite", self.nonfinite);
        }
        let room = style.small.columns_in(plane.w);
        canvas.text(plane.x, y + line, &fit(&text, room), ink);
        canvas.text_right(plane.x - unit, plane.y - line * 3 / 2 - unit / 4, &format!("{}s", self.noun), ink);
    }
}

/// A column from the ground up; returns what was filled.
fn rise(canvas: &mut Canvas<'_>, column: Area, axis: &Axis, n: u64, color: Rgb) -> Area {
    if n == 0 {
        return Area::default();
    }
    let high = axis.pixel(n as f64, column.h).unwrap_or(0).max(1);
    let area = Area::new(column.x, column.bottom() - high, column.w, high);
    canvas.fill(area, color);
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_counted_once() {
        let sizes = [0.0, 0.0, 1e-9, 0.5, 0.5, 3.0, 1e30, f64::NAN, f64::INFINITY];
        let data = HistogramData { noun: "value", ..HistogramData::default() }.counting(&sizes);
        assert_eq!((data.zero, data.nonfinite, data.total()), (2, 2, sizes.len() as u64));
        assert!(
            data.columns.windows(2).all(|w| w[0].1 == w[1].0) && data.columns.len() <= MAX_COLUMNS as usize
        );
        for (from, to, n) in &data.columns {
            let inside = sizes.iter().filter(|s| (*from..*to).contains(*s)).count() as u64;
            assert!(n.abs_diff(inside) <= 1, "{from} {to} {n} {inside}: an edge's rounding");
        }
        let nothing = HistogramData::default().counting(&[0.0]);
        assert_eq!((nothing.columns.len(), nothing.total()), (0, 1));
    }
}
