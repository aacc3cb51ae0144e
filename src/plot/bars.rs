//! Bars in groups: one group a model (or whatever is compared), one bar a series.

use std::fmt::Write as _;

use super::PlotError;
use super::axis::{Axis, Scale};
use super::canvas::{Area, Canvas, Ink};
use super::font::{columns, fit, wrap};
use super::output::{self, Format};
use super::style::Style;
use crate::csv;
use crate::figures::{figure, percent};
use crate::palette::{Ground, Rgb, series};
use crate::text::safe;

/// Groups drawn at most; what is left out is said.
const MAX_GROUPS: usize = 60;
/// Series drawn at most: as many as have colours of their own.
const MAX_SERIES: usize = crate::palette::SERIES;
/// Columns of a group's name at most.
const MAX_LABEL: usize = 34;
/// Width of the picture in columns of text.
const COLUMNS: u32 = 104;

/// How the figures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Plain figures.
    #[default]
    Figure,
    /// Shares of 0 to 1, as per cent.
    Percent,
}

/// One group of bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarGroup {
    /// What it belongs to.
    pub label: String,
    /// A figure a series; none where there is none.
    pub values: Vec<Option<f64>>,
}

/// Grouped bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarsData {
    /// What the picture shows.
    pub title: String,
    /// What is measured, at the axis: `garbage rate`, `NMSE, median over positions`.
    pub axis: String,
    /// How figures are spaced.
    pub scale: Scale,
    /// How they are written.
    pub unit: Unit,
    /// Names of the series.
    pub series: Vec<String>,
    /// The groups, from above.
    pub groups: Vec<BarGroup>,
    /// A value that matters, drawn as a line, with its name: the limit of noise.
    pub limit: Option<(f64, String)>,
}

impl BarsData {
    /// The data as CSV: one line a bar.
    pub fn csv(&self) -> String {
        let mut out = String::from("group,series,value\n");
        for group in &self.groups {
            for (name, value) in self.series.iter().zip(&group.values) {
                let value = value.map_or(String::new(), |v| v.to_string());
                let _ = writeln!(out, "{},{},{value}", csv::field(&group.label), csv::field(name));
            }
        }
        out
    }

    fn shown(&self) -> &[BarGroup] {
        &self.groups[..self.groups.len().min(MAX_GROUPS)]
    }

    fn n_series(&self) -> usize {
        self.series.len().clamp(1, MAX_SERIES)
    }

    /// Height of the picture in lines of text.
    fn lines(&self) -> u32 {
        let bars = self.shown().len().max(1) * self.n_series();
        (9 + bars + self.shown().len()) as u32
    }

    fn default_size(&self) -> (u32, u32) {
        (1000, (self.lines() * 22).clamp(240, 4000))
    }

    fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Percent => percent(value),
            Unit::Figure => figure(value),
        }
    }

    /// Draws title, key, bars and axis.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        let roles = style.roles();
        let unit = style.unit();
        let area = area.inset(unit * 2, unit * 3 / 2);
        let title = style.title(roles.text);
        canvas.text(area.x, area.y, &fit(&safe(&self.title), title.face.columns_in(area.w)), title);
        let (_, rest) = area.split_top(style.large.line() + unit / 2);
        let (key, rest) = rest.split_top(style.small.line() + unit);
        self.draw_key(canvas, key, style);
        let above = if self.limit.is_some() { style.small.line() } else { 0 };
        let (_, rest) = rest.split_top(above);
        let left_out = self.groups.len() - self.shown().len();
        let (rest, foot) = rest.split_bottom(style.small.line() * 2 + unit * 3 / 2);
        if self.shown().is_empty() || self.series.is_empty() {
            style.nothing(canvas, rest, "there is nothing to show");
            return;
        }
        let widest = self.shown().iter().map(|g| columns(&safe(&g.label))).max().unwrap_or(0);
        let widest = (widest as usize).min(MAX_LABEL) as i32 * style.normal.advance();
        let (labels, plot) = rest.split_left(widest.min(area.w * 2 / 5) + unit);
        // Room for the figure after the longest bar.
        let tail = style.small.width("<0.001 %") + unit;
        let plot = Area::new(plot.x, plot.y, plot.w - tail, plot.h);
        if plot.w < unit * 4 || plot.h < 4 {
            return;
        }
        let axis = self.axis(plot.w / (style.small.width("1e-16") + unit * 2).max(1));
        self.draw_axis(canvas, plot, foot, &axis, style);
        let n = self.shown().len() as i32;
        for (i, group) in self.shown().iter().enumerate() {
            let (from, to) = (plot.h * i as i32 / n, plot.h * (i as i32 + 1) / n);
            let slot = Area::new(plot.x, plot.y + from, plot.w, to - from);
            self.draw_group(canvas, slot, labels, &axis, group, style);
        }
        canvas.vertical(plot.x - 1, plot.y, plot.bottom(), roles.line);
        if left_out > 0 {
            let text = format!("{left_out} more not shown");
            canvas.text(labels.x, foot.y + unit / 2, &text, style.label(roles.caution));
        }
    }

    fn axis(&self, ticks: i32) -> Axis {
        let values = self.shown().iter().flat_map(|g| g.values.iter().copied().flatten());
        let limit = self.limit.as_ref().map(|l| l.0);
        let ticks = ticks.clamp(2, 10) as usize;
        match (self.scale, self.unit) {
            (Scale::Linear, Unit::Percent) => Axis::linear([0.0, 1.0].into_iter(), ticks.min(5)),
            (Scale::Linear, Unit::Figure) => Axis::linear(values.chain(limit).chain([0.0]), ticks),
            (Scale::Log, _) => Axis::log(values.chain(limit), ticks),
        }
    }

    fn draw_key(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        if self.series.len() < 2 {
            return;
        }
        let mut x = area.x;
        let side = style.small.line() * 2 / 3;
        for (i, name) in self.series.iter().take(MAX_SERIES).enumerate() {
            let name = fit(&safe(name), style.small.columns_in(area.right() - x - side * 2));
            if name.is_empty() {
                return;
            }
            canvas.fill(Area::new(x, area.y + side / 4, side, side), series(i, style.ground));
            canvas.text(x + side * 3 / 2, area.y, &name, style.label(style.roles().text));
            x += side * 3 / 2 + style.small.width(&name) + style.unit() * 3;
        }
    }

    fn draw_axis(&self, canvas: &mut Canvas<'_>, plot: Area, foot: Area, axis: &Axis, style: &Style) {
        let roles = style.roles();
        let y = foot.y + style.unit() / 2;
        for (value, label) in axis.ticks() {
            let Some(x) = axis.pixel(value, plot.w) else { continue };
            canvas.vertical(plot.x + x, plot.y, plot.bottom(), roles.panel.mix(roles.line, 0.6));
            let label = if self.unit == Unit::Percent && self.scale == Scale::Linear {
                format!("{:.0} %", value * 100.0)
            } else {
                label
            };
            canvas.text_center(plot.x + x, y, &label, style.label(roles.dim));
        }
        let room = style.small.columns_in(plot.w);
        let text = fit(&safe(&self.axis), room);
        canvas.text(plot.x, y + style.small.line(), &text, style.label(roles.dim));
        if let Some((value, name)) = &self.limit
            && let Some(x) = axis.pixel(*value, plot.w)
        {
            canvas.fill(Area::new(plot.x + x - 1, plot.y - style.unit() / 2, 2, plot.h), roles.text);
            let text = fit(&safe(name), room);
            let at = (plot.x + x + style.unit() / 2).min(plot.right() - style.small.width(&text));
            canvas.text(at, plot.y - style.small.line() - style.unit() / 4, &text, style.label(roles.text));
        }
    }

    fn draw_group(
        &self,
        canvas: &mut Canvas<'_>,
        slot: Area,
        labels: Area,
        axis: &Axis,
        group: &BarGroup,
        style: &Style,
    ) {
        let roles = style.roles();
        let unit = style.unit();
        // A long name takes as many lines as its bars leave it.
        let line = style.normal.line();
        let room = style.normal.columns_in(labels.w - unit).clamp(1, MAX_LABEL);
        let mut lines = wrap(&safe(&group.label), room);
        let fits = (slot.h / line).clamp(1, 3) as usize;
        if lines.len() > fits {
            let rest = lines[fits - 1..].join(" ");
            lines.truncate(fits - 1);
            lines.push(fit(&rest, room));
        }
        let top = slot.y + (slot.h - line * lines.len() as i32) / 2;
        for (i, text) in lines.iter().enumerate() {
            canvas.text_right(labels.right() - unit, top + line * i as i32, text, style.ink(roles.text));
        }
        let n = self.n_series() as i32;
        let inside = slot.inset(0, (slot.h / 8).max(1));
        let thick = (inside.h / n).clamp(1, style.normal.line() * 3 / 2);
        let top = inside.y + (inside.h - thick * n) / 2;
        for i in 0..n {
            let color = series(i as usize, style.ground);
            let bar = Area::new(inside.x, top + i * thick, inside.w, (thick - (thick / 6).min(3)).max(1));
            let value = group.values.get(i as usize).copied().flatten();
            let end = match value {
                Some(v) if v.is_finite() => {
                    let bar = Area { w: axis.pixel(v, bar.w).unwrap_or(0).max(2), ..bar };
                    canvas.fill(bar, color);
                    bar.right()
                }
                Some(_) => {
                    draw_not_finite(canvas, bar, color, style);
                    bar.right()
                }
                None => bar.x,
            };
            if bar.h + 2 >= style.small.line() * 2 / 3 {
                let (text, color) = match value {
                    Some(v) if v.is_finite() => (self.text(v), roles.text),
                    Some(v) => (figure(v), roles.nonfinite),
                    None => ("not measured".to_owned(), roles.dim),
                };
                let y = bar.y + (bar.h - style.small.line()) / 2;
                // Lines behind it would cut the figure.
                canvas.fill(
                    Area::new(end + unit / 4, y, style.small.width(&text) + unit / 2, bar.h),
                    roles.ground,
                );
                let ink = Ink { bold: !value.is_none_or(f64::is_finite), ..style.label(color) };
                canvas.text(end + unit / 2, y, &text, ink);
            }
        }
    }
}

/// A bar that has no end: hatched, in the colour of what is not finite.
fn draw_not_finite(canvas: &mut Canvas<'_>, bar: Area, color: Rgb, style: &Style) {
    let roles = style.roles();
    canvas.fill(bar, color.mix(roles.ground, 0.75));
    canvas.hatch(bar, 6, roles.nonfinite);
    canvas.frame(bar, 1, roles.nonfinite);
}

/// Grouped bars as a picture. Without a size it is as high as its groups need.
pub fn bars(
    data: &BarsData,
    format: Format,
    size: Option<(u32, u32)>,
    ground: Ground,
) -> Result<Vec<u8>, PlotError> {
    let size = size.unwrap_or_else(|| data.default_size());
    let style = Style::fitting(size, COLUMNS, data.lines(), ground);
    let picture = output::Picture { id: "bars", title: &data.title, size, style: &style };
    output::draw(&picture, format, &|canvas, area| data.draw(canvas, area, &style), &|| data.csv())
}

/// Grouped bars as SVG that is light or dark as its reader prefers, for
/// [`Block::Picture`](crate::document::Block::Picture).
pub fn bars_svg(data: &BarsData) -> Result<String, PlotError> {
    let [light, dark] = [Ground::Light, Ground::Dark]
        .map(|ground| Ok(String::from_utf8_lossy(&bars(data, Format::Svg, None, ground)?).into_owned()));
    Ok(output::adaptive(&light?, &dark?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(scale: Scale) -> BarsData {
        let group =
            |label: &str, values: &[Option<f64>]| BarGroup { label: label.into(), values: values.into() };
        BarsData {
            title: "garbage by model".into(),
            axis: "share of rows".into(),
            scale,
            unit: if scale == Scale::Linear { Unit::Percent } else { Unit::Figure },
            series: vec!["published".into(), "measured".into()],
            groups: vec![
                group("one", &[Some(0.73), Some(0.0)]),
                group("two", &[None, Some(f64::NAN)]),
                group("\u{1b}[2J<b>", &[Some(1e-9), Some(f64::INFINITY)]),
            ],
            limit: Some((0.5, "limit".into())),
        }
    }

    #[test]
    fn bars_say_their_figures_and_what_has_none() {
        let svg = bars_svg(&data(Scale::Linear)).unwrap();
        for text in
            ["73.0 %", "0 %", "not measured", "NaN", "∞", "published", "share of rows", "100 %", "limit"]
        {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains('\u{1b}') && !svg.contains("<b>"));
        assert!(svg.contains("<title>paritty: garbage by model</title>"));
    }

    #[test]
    fn degenerate_bars_are_drawn_all_the_same() {
        let mut many = BarsData { series: vec!["a".into()], ..BarsData::default() };
        many.groups =
            (0..5000).map(|i| BarGroup { label: format!("{i}"), values: vec![Some(f64::from(i))] }).collect();
        let ragged = BarsData {
            groups: vec![BarGroup { label: "x".repeat(500), values: vec![Some(-3.0); 40] }],
            ..data(Scale::Log)
        };
        for data in [BarsData::default(), many, ragged, data(Scale::Log)] {
            for size in [None, Some((64, 64)), Some((3000, 70))] {
                for format in [Format::Png, Format::Svg, Format::Csv] {
                    let bytes = bars(&data, format, size, Ground::Dark).unwrap();
                    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
                }
            }
        }
    }
}
