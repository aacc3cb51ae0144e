//! Every value of a tensor: the reference's across, the candidate's upwards. What agrees lies on the
//! diagonal.

use std::fmt::Write as _;

use super::axis::Axis;
use super::canvas::{Area, Canvas, Ink};
use super::chart::Chart;
use super::font::fit;
use super::style::Style;
use crate::figures::{count, figure};
use crate::palette::value_glyph;

/// Values up to which each is a dot of its own; beyond, squares show how many lie in them.
const MAX_DOTS: usize = 1_500;
/// Squares at either side of the plane at most.
const MAX_SQUARES: i32 = 110;
/// Signs of values that are not finite at most.
const MAX_SIGNS: usize = 200;
/// Channels listed.
const LISTED: usize = 24;

/// The data of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScatterData<'a> {
    /// The reference's values.
    pub reference: &'a [f32],
    /// The candidate's.
    pub candidate: &'a [f32],
    /// Names of some channels, safe to show: tokens.
    pub names: Vec<(u32, String)>,
}

/// One channel with both values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    channel: usize,
    reference: f32,
    candidate: f32,
}

impl Pair {
    fn is_finite(&self) -> bool {
        self.reference.is_finite() && self.candidate.is_finite()
    }

    /// Whether both are the same, NaN included.
    fn is_equal(&self) -> bool {
        self.reference == self.candidate || (self.reference.is_nan() && self.candidate.is_nan())
    }

    /// The difference; infinite where a value that is not finite stands alone.
    fn distance(&self) -> f64 {
        if self.is_equal() {
            return 0.0;
        }
        let distance = (f64::from(self.candidate) - f64::from(self.reference)).abs();
        if distance.is_nan() { f64::INFINITY } else { distance }
    }
}

impl ScatterData<'_> {
    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let values = self.reference.iter().zip(self.candidate).enumerate();
        values.map(|(channel, (&reference, &candidate))| Pair { channel, reference, candidate })
    }

    /// The data as CSV: one line a channel.
    pub fn csv(&self) -> String {
        let mut out = String::from("channel,reference,candidate,difference\n");
        for p in self.pairs() {
            let difference = p.candidate - p.reference;
            let _ = writeln!(out, "{},{},{},{difference}", p.channel, p.reference, p.candidate);
        }
        out
    }

    /// The channels that differ most, the worst first.
    fn worst(&self) -> Vec<Pair> {
        let mut all: Vec<Pair> = self.pairs().filter(|p| !p.is_equal()).collect();
        let order =
            |a: &Pair, b: &Pair| b.distance().total_cmp(&a.distance()).then(a.channel.cmp(&b.channel));
        if all.len() > LISTED {
            all.select_nth_unstable_by(LISTED, order);
            all.truncate(LISTED);
        }
        all.sort_by(order);
        all
    }

    /// Draws the plane and, where there is room, the channels that differ most.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        if self.reference.is_empty() || self.candidate.is_empty() {
            style.nothing(canvas, area, "needs the values of both sides");
            return;
        }
        let worst = self.worst();
        let unit = style.unit();
        let list_w = style.small.advance() * 50;
        let with_list = area.w - area.h >= list_w + unit * 2;
        let (plane, list) = if with_list {
            let (plane, rest) = area.split_left(area.w - list_w - unit * 2);
            (plane, Area::new(rest.x + unit * 2, rest.y, list_w, rest.h))
        } else {
            (area, Area::default())
        };
        self.draw_plane(canvas, plane, &worst, style);
        if with_list {
            self.draw_list(canvas, list, &worst, style);
        }
    }

    fn draw_plane(&self, canvas: &mut Canvas<'_>, area: Area, worst: &[Pair], style: &Style) {
        let roles = style.roles();
        let Some((plot, x_ticks, y_ticks)) = Chart::plane(area, style) else { return };
        let values = || self.pairs().flat_map(|p| [p.reference, p.candidate]).map(f64::from);
        // One range for both, so that equal values lie on the diagonal.
        let axis = |ticks| Axis::linear(values(), ticks);
        let chart = Chart { plot, x: axis(x_ticks.min(y_ticks)), y: axis(x_ticks.min(y_ticks)) };
        let finite = self.pairs().filter(Pair::is_finite).count();
        let n = self.reference.len().min(self.candidate.len());
        let many = n > MAX_DOTS;
        let title = format!(
            "reference ({}{})",
            count(n, "value"),
            if many { ", stronger colour: more of them" } else { "" }
        );
        chart.draw(canvas, style, &title, "candidate");
        canvas.path(&[(plot.x, plot.bottom() - 1), (plot.right() - 1, plot.y)], 1, roles.dim);
        if many {
            self.draw_squares(canvas, &chart, style);
        } else {
            self.draw_dots(canvas, &chart, style);
        }
        if finite < n {
            self.draw_odd(canvas, &chart, style);
        }
        if let Some(first) = worst.iter().find(|p| p.is_finite())
            && let Some(center) = chart.at(first.reference.into(), first.candidate.into())
        {
            canvas.circle(center, (style.unit() * 3 / 4) as u32 + 2, style.stroke(), roles.bad);
        }
    }

    fn draw_dots(&self, canvas: &mut Canvas<'_>, chart: &Chart, style: &Style) {
        let radius = (style.unit() / 4).clamp(1, 4) as u32;
        for p in self.pairs().filter(Pair::is_finite) {
            if let Some(center) = chart.at(p.reference.into(), p.candidate.into()) {
                canvas.circle(center, radius, 0, style.roles().accent);
            }
        }
    }

    fn draw_squares(&self, canvas: &mut Canvas<'_>, chart: &Chart, style: &Style) {
        let roles = style.roles();
        let plot = chart.plot;
        let side = (plot.w.max(plot.h).div_euclid(MAX_SQUARES) + 1).max(style.unit() / 3).max(2);
        let columns = (plot.w / side + 1) as usize;
        let mut counts = vec![0u32; columns * (plot.h / side + 1) as usize];
        for p in self.pairs().filter(Pair::is_finite) {
            if let Some((x, y)) = chart.at(p.reference.into(), p.candidate.into()) {
                let (column, row) = ((x - plot.x) / side, (y - plot.y) / side);
                if let Some(n) = counts.get_mut(row as usize * columns + column as usize) {
                    *n += 1;
                }
            }
        }
        let most = f64::from(counts.iter().copied().max().unwrap_or(1)).ln_1p();
        for (i, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let (x, y) = (plot.x + (i % columns) as i32 * side, plot.y + (i / columns) as i32 * side);
            let strength = 0.35 + 0.65 * (f64::from(n).ln_1p() / most.max(1e-9)) as f32;
            let square = Area::new(x, y, side.min(plot.right() - x), side.min(plot.bottom() - y));
            canvas.fill(square, roles.ground.mix(roles.accent, strength));
        }
    }

    /// What is not finite, at the edge: at the other side's value where that has one.
    fn draw_odd(&self, canvas: &mut Canvas<'_>, chart: &Chart, style: &Style) {
        let roles = style.roles();
        let plot = chart.plot;
        let ink = Ink { bold: true, ..style.label(roles.nonfinite) };
        let half = style.small.line() / 2;
        let odd: Vec<Pair> = self.pairs().filter(|p| !p.is_finite()).collect();
        for p in odd.iter().take(MAX_SIGNS) {
            let across = chart.x.pixel(p.reference.into(), plot.w - 1).filter(|_| p.reference.is_finite());
            let up = chart.y.pixel(p.candidate.into(), plot.h - 1).filter(|_| p.candidate.is_finite());
            let x = plot.x + across.unwrap_or(plot.w - 1 - half);
            let y = plot.bottom() - 1 - up.unwrap_or(plot.h - 1 - half);
            let glyph = value_glyph(p.reference).or(value_glyph(p.candidate)).unwrap_or('×');
            canvas.text_center(x, y - half, &glyph.to_string(), ink);
        }
        let text = format!("{} not finite: × ∞ at the edges", count(odd.len(), "value"));
        let room = style.small.columns_in(plot.w - style.unit() * 2);
        let at = (plot.x + style.unit(), plot.bottom() - half * 2 - style.unit() / 2);
        canvas.text(at.0, at.1, &fit(&text, room), ink);
    }

    fn draw_list(&self, canvas: &mut Canvas<'_>, area: Area, worst: &[Pair], style: &Style) {
        let roles = style.roles();
        let line = style.small.line();
        let ink = style.label(roles.text);
        let advance = style.small.advance();
        let ends = [29, 39, 49].map(|c| area.x + c * advance);
        let (mut y, bottom) = (area.y, area.bottom());
        if worst.is_empty() {
            canvas.text(area.x, y, "every value is the same on both sides", style.label(roles.good));
            return;
        }
        canvas.text(area.x, y, "largest differences", Ink { bold: true, ..style.label(roles.accent) });
        y += line * 3 / 2;
        canvas.text(area.x, y, "channel", style.label(roles.dim));
        for (end, title) in ends.iter().zip(["reference", "candidate", "Δ"]) {
            canvas.text_right(*end, y, title, style.label(roles.dim));
        }
        for (i, p) in worst.iter().enumerate() {
            y += line;
            if y + line > bottom {
                break;
            }
            let name = self.names.iter().find(|n| n.0 as usize == p.channel).map(|n| n.1.as_str());
            // A token without text is named by its id, which stands there already.
            let name =
                name.filter(|n| !n.starts_with('#')).map_or(String::new(), |n| format!(" ‘{}’", fit(n, 10)));
            canvas.text(area.x, y, &format!("{}{name}", p.channel), ink);
            let color = |v: f32| if v.is_finite() { roles.text } else { roles.nonfinite };
            let delta = p.candidate - p.reference;
            for (end, v) in ends.iter().zip([p.reference, p.candidate, delta]) {
                canvas.text_right(*end, y, &figure(f64::from(v)), style.label(color(v)));
            }
            if i == 0 && p.is_finite() {
                canvas.circle(
                    (area.x - style.unit(), y + line / 2),
                    (style.unit() / 3) as u32 + 1,
                    1,
                    roles.bad,
                );
            }
        }
    }
}
