//! How the error grows with the position: median, worst checkpoint, logits.

use std::fmt::Write as _;

use super::axis::Axis;
use super::canvas::{Area, Canvas, Ink};
use super::chart::Chart;
use super::font::fit;
use super::style::{Style, bins};
use crate::palette::Rgb;

/// Lowest error drawn: below half of f32's rounding squared, so equal bits lie on the lower edge.
const FLOOR: f64 = 1e-16;
/// Signs drawn at most.
const MAX_SIGNS: usize = 400;

/// One position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PositionPoint {
    /// The position.
    pub position: u32,
    /// Normalised squared error, median over the checkpoints.
    pub median: Option<f64>,
    /// The largest; NaN if any is.
    pub worst: Option<f64>,
    /// That of the logits.
    pub logits: Option<f64>,
    /// KL(reference‖candidate) in nats.
    pub kl: Option<f64>,
    /// Whether both have the same most likely token.
    pub top1_agrees: Option<bool>,
}

/// The data of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PositionsData {
    /// By position.
    pub points: Vec<PositionPoint>,
    /// Index of the first divergence's position and what to say about it.
    pub mark: Option<(usize, String)>,
}

type Get = fn(&PositionPoint) -> Option<f64>;

impl PositionsData {
    /// The data as CSV.
    pub fn csv(&self) -> String {
        let mut out = String::from("position,nmse_median,nmse_worst,nmse_logits,kl,first_token_agrees\n");
        let text = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v:e}"));
        for p in &self.points {
            let agrees = p.top1_agrees.map_or(String::new(), |a| a.to_string());
            let (median, worst, logits) = (text(p.median), text(p.worst), text(p.logits));
            let _ = writeln!(out, "{},{median},{worst},{logits},{},{agrees}", p.position, text(p.kl));
        }
        out
    }

    /// Draws three lines and the places where the first token differs.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        let roles = style.roles();
        if self.points.iter().all(|p| p.worst.is_none()) {
            style.nothing(canvas, area, "nothing compared yet");
            return;
        }
        let (line, unit) = (style.small.line(), style.unit());
        let (key, area) = area.split_top(line + unit / 4);
        let (callout, _) = area.split_top(line);
        let Some((plot, x_ticks, y_ticks)) = Chart::plane(area, style) else { return };
        let all = self.points.iter().flat_map(|p| [p.median, p.worst, p.logits]).flatten();
        let positions = self.points.iter().map(|p| f64::from(p.position));
        let (first, last) = positions.clone().fold((f64::MAX, 0.0), |(a, b), p| (p.min(a), p.max(b)));
        let chart = Chart {
            plot,
            // A position is no fraction: as many labels as there are, at most.
            x: Axis::linear(positions, x_ticks.min((last - first) as usize).max(1)),
            y: Axis::log(all.filter(|n| *n > 0.0 && n.is_finite()).map(|n| n.max(FLOOR)), y_ticks),
        };
        chart.draw(canvas, style, &format!("position ({} compared)", self.points.len()), "nmse");
        let quiet = roles.dim.mix(roles.ground, 0.25);
        let lines: [(&str, Get, u32, Rgb); 3] = [
            ("worst checkpoint", |p| p.worst, 1, quiet),
            ("median checkpoint", |p| p.median, style.stroke(), roles.accent),
            ("logits", |p| p.logits, style.stroke(), roles.candidate),
        ];
        let mut x = plot.x;
        for (name, get, width, color) in lines {
            self.draw_line(canvas, &chart, get, width, color, style);
            if x + unit * 4 + style.small.width(name) < plot.right() {
                canvas.fill(Area::new(x, key.y + line / 2 - 1, unit * 3, width as i32 + 1), color);
                canvas.text(x + unit * 7 / 2, key.y, name, style.label(roles.dim));
                x += unit * 6 + style.small.width(name);
            }
        }
        let differs = self.points.iter().any(|p| p.top1_agrees == Some(false));
        let odd = self.points.iter().any(|p| p.worst.is_some_and(|w| !w.is_finite()));
        let signs =
            [(differs, "▼", "first token differs", roles.caution), (odd, "×", "not finite", roles.nonfinite)];
        for (_, glyph, text, color) in signs.into_iter().filter(|s| s.0) {
            if x + unit * 2 + style.small.width(text) < plot.right() {
                canvas.text(x, key.y, glyph, style.label(color).bold());
                canvas.text(x + unit * 3 / 2, key.y, text, style.label(roles.dim));
                x += unit * 4 + style.small.width(text);
            }
        }
        self.draw_signs(canvas, &chart, style);
        if let Some((index, label)) = &self.mark
            && let Some(point) = self.points.get(*index)
            && let Some((x, _)) = chart.at(point.position.into(), FLOOR)
        {
            canvas.vertical(x, callout.bottom() + unit / 4, plot.bottom(), roles.text);
            let text = fit(label, style.small.columns_in(plot.w));
            let left = (x + unit / 2).min(plot.right() - style.small.width(&text)).max(plot.x);
            canvas.text(left, callout.y, &text, Ink { bold: true, ..style.label(roles.text) });
        }
    }

    /// A line through one figure of every position; where positions share a pixel, the worst of them.
    fn draw_line(
        &self,
        canvas: &mut Canvas<'_>,
        chart: &Chart,
        get: Get,
        width: u32,
        color: Rgb,
        style: &Style,
    ) {
        let mut points = Vec::new();
        for bin in bins(self.points.len(), chart.plot.w, usize::MAX) {
            let worst = self.points[bin.first..bin.end]
                .iter()
                .filter_map(|p| get(p).filter(|v| v.is_finite()).map(|v| (p.position, v)))
                .reduce(|a, b| if b.1 > a.1 { b } else { a });
            points.extend(worst.and_then(|(p, v)| chart.at(p.into(), v.max(FLOOR))));
        }
        canvas.path(&points, width, color);
        if points.len() < 60 {
            for p in &points {
                canvas.circle(*p, (style.unit() / 4).max(2) as u32, 0, color);
            }
        }
    }

    fn draw_signs(&self, canvas: &mut Canvas<'_>, chart: &Chart, style: &Style) {
        let roles = style.roles();
        let line = style.small.line();
        let differs: Vec<&PositionPoint> =
            self.points.iter().filter(|p| p.top1_agrees == Some(false)).collect();
        let odd: Vec<&PositionPoint> =
            self.points.iter().filter(|p| p.worst.is_some_and(|w| !w.is_finite())).collect();
        let rows = [
            (differs, "▼", roles.caution, chart.plot.bottom() - line),
            (odd, "×", roles.nonfinite, chart.plot.y),
        ];
        for (points, glyph, color, y) in rows {
            // What is left out lies between its neighbours.
            for p in points.iter().step_by(points.len().div_ceil(MAX_SIGNS).max(1)) {
                if let Some((x, _)) = chart.at(p.position.into(), FLOOR) {
                    canvas.text_center(x, y, glyph, style.label(color).bold());
                }
            }
        }
    }
}
