//! How the error grows with depth: normalised squared error of each checkpoint, in order of
//! execution.

use std::fmt::Write as _;

use super::canvas::{Area, Canvas, Ink};
use super::font::fit;
use super::style::{Style, nice_step};
use crate::compare::Severity;
use crate::csv;
use crate::palette::{Rgb, severity as severity_color};

/// Lowest error drawn: below half of f32's rounding squared, so equal bits lie on the lower edge.
const FLOOR: f64 = 1e-16;
/// Dots drawn at most; beyond, every n-th checkpoint has one.
const MAX_POINTS: usize = 2_000;

/// One checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrowthPoint {
    /// Its name.
    pub label: String,
    /// Its layer.
    pub layer: Option<usize>,
    /// Whether it is the residual stream between layers, its beginning or what it ends in.
    pub stream: bool,
    /// Error and severity at the cursor's position.
    pub here: Option<(f64, Severity)>,
    /// The largest error and severity over all positions.
    pub worst: Option<(f64, Severity)>,
}

/// The data of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrowthData {
    /// The cursor's position.
    pub position: u32,
    /// In order of execution.
    pub points: Vec<GrowthPoint>,
    /// Index of the first divergence's checkpoint and what to say about it.
    pub mark: Option<(usize, String)>,
}

impl GrowthData {
    /// The data as CSV.
    pub fn csv(&self) -> String {
        let mut out = String::from("order,checkpoint,nmse,severity,worst_nmse,worst_severity\n");
        let pair = |p: Option<(f64, Severity)>| {
            p.map_or(",".to_owned(), |(nmse, severity)| format!("{nmse:e},{}", severity.0))
        };
        for (i, p) in self.points.iter().enumerate() {
            let _ = writeln!(out, "{i},{},{},{}", csv::field(&p.label), pair(p.here), pair(p.worst));
        }
        out
    }

    fn range(&self) -> Option<(i32, i32)> {
        let all = self.points.iter().flat_map(|p| [p.here, p.worst]).flatten().map(|p| p.0);
        let logs: Vec<f64> =
            all.filter(|n| n.is_finite() && *n > 0.0).map(|n| n.max(FLOOR).log10()).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let any = self.points.iter().any(|p| p.here.is_some() || p.worst.is_some());
        any.then(|| {
            if low > high {
                (-16, 0)
            } else {
                (low.floor() as i32, (high.ceil() as i32).max(low.floor() as i32 + 1))
            }
        })
    }

    /// Draws axes, both lines and the legend.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        let roles = style.roles();
        let Some((low, high)) = self.range() else {
            style.nothing(canvas, area, "nothing compared yet");
            return;
        };
        let (line, unit) = (style.small.line(), style.unit());
        let gutter = style.small.width("1e-16") + unit * 2;
        let (top, rest) = area.split_top(line * 2 + unit);
        let (rest, axis) = rest.split_bottom(line * 2 + unit);
        let (_, plot) = rest.split_left(gutter);
        let plot = Area::new(plot.x, plot.y, plot.w - unit, plot.h);
        if plot.w < 8 || plot.h < 8 {
            return;
        }
        canvas.fill(plot, roles.ground);
        let y = |nmse: f64| {
            if !nmse.is_finite() {
                return plot.y + unit;
            }
            let log = nmse.max(FLOOR).log10().clamp(low as f64, high as f64);
            let share = (log - low as f64) / (high - low) as f64;
            plot.bottom() - 1 - (share * (plot.h - 1 - 2 * unit) as f64) as i32
        };
        let n = self.points.len();
        let x = |i: usize| plot.x + ((2 * i + 1) as i64 * plot.w as i64 / (2 * n.max(1)) as i64) as i32;
        let decades = nice_step(((high - low) * (line + unit) / plot.h.max(1)) as usize + 1) as i32;
        canvas.text_right(plot.x - unit, plot.y - line - unit / 4, "nmse", style.label(roles.dim));
        for decade in (low..=high).filter(|d| d % decades == 0) {
            let at = y(10f64.powi(decade));
            canvas.horizontal(plot.x, plot.right(), at, roles.panel.mix(roles.line, 0.6));
            let label = if decade == 0 { "1".to_owned() } else { format!("1e{decade}") };
            canvas.text_right(plot.x - unit, at - line / 2, &label, style.label(roles.dim));
        }
        self.draw_layers(canvas, plot, axis, style, &x);
        let quiet = roles.dim.mix(roles.ground, 0.25);
        self.draw_line(canvas, &x, &y, |p| p.worst.map(|w| w.0), 1, quiet);
        self.draw_line(canvas, &x, &y, |p| p.here.map(|w| w.0), style.stroke(), roles.accent);
        let radius = if n > 400 { 2 } else { (plot.w / (3 * n as i32).max(1)).clamp(2, unit / 2 + 1) };
        for (i, p) in self.points.iter().enumerate().step_by(n.div_ceil(MAX_POINTS).max(1)) {
            let odd = |figures: Option<(f64, Severity)>| figures.is_some_and(|f| !f.0.is_finite());
            if odd(p.here) || odd(p.worst) {
                let color =
                    if odd(p.here) { roles.nonfinite } else { roles.nonfinite.mix(roles.ground, 0.4) };
                canvas.text_center(x(i), plot.y + unit - line / 2, "×", style.label(color).bold());
            }
            if let Some((nmse, severity)) = p.here.filter(|h| h.0.is_finite()) {
                let center = (x(i), y(nmse));
                canvas.circle(center, radius as u32 + 1, 0, roles.ground);
                canvas.circle(center, radius as u32, 0, severity_color(severity, style.ground));
            }
        }
        canvas.frame(Area::new(plot.x - 1, plot.y - 1, plot.w + 2, plot.h + 2), 1, roles.line);
        self.draw_mark(canvas, plot, top, style, &x, &y);
        self.draw_key(canvas, top, plot, style, quiet);
    }

    fn draw_line(
        &self,
        canvas: &mut Canvas<'_>,
        x: &dyn Fn(usize) -> i32,
        y: &dyn Fn(f64) -> i32,
        get: impl Fn(&GrowthPoint) -> Option<f64>,
        width: u32,
        color: Rgb,
    ) {
        // Other checkpoints lie on scales of their own; joining them would only draw a zigzag.
        let stream = self.points.iter().enumerate().filter(|p| p.1.stream);
        let points: Vec<_> = stream.filter_map(|(i, p)| get(p).map(|v| (x(i), y(v)))).collect();
        canvas.path(&points, width, color);
    }

    fn draw_layers(
        &self,
        canvas: &mut Canvas<'_>,
        plot: Area,
        axis: Area,
        style: &Style,
        x: &dyn Fn(usize) -> i32,
    ) {
        let roles = style.roles();
        let unit = style.unit();
        let starts: Vec<(usize, usize)> = self
            .points
            .iter()
            .enumerate()
            .filter_map(|(i, p)| p.layer.map(|l| (i, l)))
            .collect::<Vec<_>>()
            .chunk_by(|a, b| a.1 == b.1)
            .map(|c| c[0])
            .collect();
        let layers = starts.last().map_or(1, |s| s.1 + 1);
        let widest = style.small.width(&format!("l {layers}")) + 2 * unit;
        let step = nice_step((widest as usize * layers).div_ceil(plot.w.max(1) as usize));
        for (i, layer) in starts {
            if layer % step == 0 {
                let at = x(i);
                canvas.vertical(at, plot.y, plot.bottom(), roles.panel.mix(roles.line, 0.6));
                canvas.vertical(at, plot.bottom(), plot.bottom() + 4, roles.line);
                canvas.text_center(at, axis.y + unit / 2, &format!("l {layer}"), style.label(roles.dim));
            }
        }
        let text = format!(
            "{} checkpoints in order of execution; a label marks where its layer begins",
            self.points.len()
        );
        let room = style.small.columns_in(axis.right() - plot.x);
        canvas.text(
            plot.x,
            axis.y + unit / 2 + style.small.line(),
            &fit(&text, room),
            style.label(roles.dim),
        );
    }

    fn draw_mark(
        &self,
        canvas: &mut Canvas<'_>,
        plot: Area,
        top: Area,
        style: &Style,
        x: &dyn Fn(usize) -> i32,
        y: &dyn Fn(f64) -> i32,
    ) {
        let roles = style.roles();
        let Some((index, label)) = &self.mark else { return };
        let Some(point) = self.points.get(*index) else { return };
        let Some((nmse, _)) = point.here.or(point.worst) else { return };
        let center = (x(*index), y(nmse));
        let ink = Ink { face: style.small, color: roles.text, bold: true };
        let text = fit(label, ink.face.columns_in(plot.w));
        let width = ink.face.width(&text);
        let left = (center.0 - width / 2).clamp(plot.x, (plot.right() - width).max(plot.x));
        let label_y = top.y + style.small.line() + style.unit() / 4;
        canvas.text(left, label_y, &text, ink);
        let radius = style.unit() * 4 / 5 + 2;
        canvas.vertical(center.0, label_y + style.small.line(), center.1 - radius, roles.text);
        canvas.circle(center, radius as u32, style.stroke(), roles.text);
    }

    fn draw_key(&self, canvas: &mut Canvas<'_>, top: Area, plot: Area, style: &Style, quiet: Rgb) {
        let roles = style.roles();
        let unit = style.unit();
        let y = top.y + style.small.line() / 2;
        let mut x = plot.x;
        let here = format!("residual stream at position {}", self.position);
        for (color, width, text) in [
            (roles.accent, 2, here.as_str()),
            (quiet, 1, "the same, worst position"),
            (roles.dim, 0, "every checkpoint, by severity; × not finite"),
        ] {
            if x + unit * 4 + style.small.width(text) > plot.right() {
                break;
            }
            if width > 0 {
                canvas.fill(Area::new(x, y - 1, unit * 3, width + 1), color);
            } else {
                for (i, s) in [0.1, 3.0, 100.0].into_iter().enumerate() {
                    let color = severity_color(Severity(s), style.ground);
                    canvas.circle((x + unit / 2 + i as i32 * unit, y), (unit / 3).max(2) as u32, 0, color);
                }
            }
            canvas.text(x + unit * 7 / 2, top.y, text, style.label(roles.dim));
            x += unit * 6 + style.small.width(text);
        }
    }
}
