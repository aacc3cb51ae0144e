//! Two axes around a plane: gutters, grid, ticks and titles.

use super::axis::Axis;
use super::canvas::{Area, Canvas};
use super::font::fit;
use super::style::Style;

/// A plane with its axes.
#[derive(Clone, Copy, Debug)]
pub struct Chart {
    /// The plane.
    pub plot: Area,
    /// From left to right.
    pub x: Axis,
    /// From below upwards.
    pub y: Axis,
}

impl Chart {
    /// The plane that fits into `area` beside labels and titles, with how many labels fit at either
    /// axis; none if there is no room.
    pub fn plane(area: Area, style: &Style) -> Option<(Area, usize, usize)> {
        let (line, unit) = (style.small.line(), style.unit());
        let gutter = style.small.width("-0.0001") + unit * 2;
        // The upper title stands clear of the uppermost label.
        let (_, rest) = area.split_top(line * 3 / 2 + unit / 2);
        let (rest, _) = rest.split_bottom(line * 2 + unit);
        let (_, plot) = rest.split_left(gutter);
        let plot = Area::new(plot.x, plot.y, plot.w - style.small.width("0000"), plot.h);
        (plot.w >= 16 && plot.h >= 16).then(|| {
            (plot, (plot.w / (gutter * 3 / 2)).max(1) as usize, (plot.h / (line * 2)).max(1) as usize)
        })
    }

    /// Where a pair of values lies; none if either is NaN.
    pub fn at(&self, x: f64, y: f64) -> Option<(i32, i32)> {
        let (x, y) = (self.x.pixel(x, self.plot.w - 1)?, self.y.pixel(y, self.plot.h - 1)?);
        Some((self.plot.x + x, self.plot.bottom() - 1 - y))
    }

    /// Draws ground, grid, labels and titles; the title of `y` stands above it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, style: &Style, x_title: &str, y_title: &str) {
        let roles = style.roles();
        let plot = self.plot;
        let (line, unit) = (style.small.line(), style.unit());
        let grid = roles.panel.mix(roles.line, 0.6);
        canvas.fill(plot, roles.ground);
        for (value, label) in self.y.ticks() {
            let Some(share) = self.y.pixel(value, plot.h - 1) else { continue };
            let y = plot.bottom() - 1 - share;
            canvas.horizontal(plot.x, plot.right(), y, grid);
            canvas.text_right(plot.x - unit, y - line / 2, &label, style.label(roles.dim));
        }
        let mut taken = i32::MIN;
        for (value, label) in self.x.ticks() {
            let Some(share) = self.x.pixel(value, plot.w - 1) else { continue };
            let x = plot.x + share;
            canvas.vertical(x, plot.y, plot.bottom(), grid);
            let half = style.small.width(&label) / 2;
            if x - half > taken {
                canvas.text_center(x, plot.bottom() + unit / 2, &label, style.label(roles.dim));
                taken = x + half + unit;
            }
        }
        canvas.frame(Area::new(plot.x - 1, plot.y - 1, plot.w + 2, plot.h + 2), 1, roles.line);
        let room = style.small.columns_in(plot.w);
        let y = plot.bottom() + unit / 2 + line;
        canvas.text(plot.x, y, &fit(x_title, room), style.label(roles.dim));
        let y = plot.y - line * 3 / 2 - unit / 4;
        let width = style.small.width(y_title);
        let left = (plot.x - unit - width).max(plot.x - style.small.width("-0.0001") - unit * 2);
        let title = fit(y_title, style.small.columns_in(plot.right() - left));
        canvas.text(left, y, &title, style.label(roles.dim));
    }
}
