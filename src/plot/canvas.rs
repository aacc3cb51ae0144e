//! What pictures are drawn on: a bitmap or an SVG, by the same calls.
//!
//! plotters' two backends disagree on a text's size and on where its baseline lies; here they
//! agree to the pixel, because characters are placed on whole pixels.

use std::fmt::Display;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle};
use unicode_width::UnicodeWidthChar as _;

use super::font::{FAMILY, Face};
use crate::palette::Rgb;
use crate::text::safe;

/// A rectangle in pixels; `right` and `bottom` lie just outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Width, never negative.
    pub w: i32,
    /// Height, never negative.
    pub h: i32,
}

impl Area {
    /// A rectangle; negative sizes become zero.
    pub fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w: w.max(0), h: h.max(0) }
    }

    /// First column to the right of it.
    pub fn right(self) -> i32 {
        self.x + self.w
    }

    /// First line below it.
    pub fn bottom(self) -> i32 {
        self.y + self.h
    }

    /// Whether nothing fits.
    pub fn is_empty(self) -> bool {
        self.w == 0 || self.h == 0
    }

    /// Without a margin of `dx` at both sides and `dy` above and below.
    #[must_use]
    pub fn inset(self, dx: i32, dy: i32) -> Self {
        Self::new(self.x + dx, self.y + dy, self.w - 2 * dx, self.h - 2 * dy)
    }

    /// The upper `h` pixels and the rest.
    pub fn split_top(self, h: i32) -> (Self, Self) {
        let h = h.clamp(0, self.h);
        (Self::new(self.x, self.y, self.w, h), Self::new(self.x, self.y + h, self.w, self.h - h))
    }

    /// The lower `h` pixels and the rest: (rest, lower).
    pub fn split_bottom(self, h: i32) -> (Self, Self) {
        let h = h.clamp(0, self.h);
        self.split_top(self.h - h)
    }

    /// The left `w` pixels and the rest.
    pub fn split_left(self, w: i32) -> (Self, Self) {
        let w = w.clamp(0, self.w);
        (Self::new(self.x, self.y, w, self.h), Self::new(self.x + w, self.y, self.w - w, self.h))
    }

    /// `n` columns with `gap` pixels between them.
    pub fn columns(self, n: i32, gap: i32) -> Vec<Self> {
        let w = (self.w - gap * (n - 1)) / n.max(1);
        (0..n).map(|i| Self::new(self.x + i * (w + gap), self.y, w, self.h)).collect()
    }
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct Ink {
    /// Size.
    pub face: Face,
    /// Colour.
    pub color: Rgb,
    /// Whether it is bold.
    pub bold: bool,
}

impl Ink {
    /// Bold.
    #[must_use]
    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

enum Backend<'a> {
    Bitmap(BitMapBackend<'a>),
    Svg(SVGBackend<'a>),
}

/// A drawing under way. Calls never fail; [`Canvas::finish`] says whether one did.
pub struct Canvas<'a> {
    backend: Backend<'a>,
    size: (u32, u32),
    failed: Option<String>,
}

fn shape(color: Rgb, alpha: f64, width: u32, filled: bool) -> ShapeStyle {
    ShapeStyle { color: RGBAColor(color.0, color.1, color.2, alpha), filled, stroke_width: width }
}

/// Whether XML 1.0 can carry it and a viewer shows something for it.
fn is_drawable(c: char) -> bool {
    !c.is_control() && (c as u32) & 0xfffe != 0xfffe && !('\u{fdd0}'..='\u{fdef}').contains(&c)
}

impl<'a> Canvas<'a> {
    /// Draws into `buffer`, three bytes a pixel, row by row. None if the buffer is too small.
    pub fn bitmap(buffer: &'a mut [u8], size: (u32, u32)) -> Option<Self> {
        let backend = BitMapBackend::with_buffer_and_format(buffer, size).ok()?;
        Some(Self { backend: Backend::Bitmap(backend), size, failed: None })
    }

    /// Writes SVG into `text`, which must be empty.
    pub fn svg(text: &'a mut String, size: (u32, u32)) -> Self {
        Self { backend: Backend::Svg(SVGBackend::with_string(text, size)), size, failed: None }
    }

    /// Everything.
    pub fn area(&self) -> Area {
        Area::new(0, 0, self.size.0 as i32, self.size.1 as i32)
    }

    /// Whether every shape costs bytes in the output.
    pub fn is_vector(&self) -> bool {
        matches!(self.backend, Backend::Svg(_))
    }

    /// Ends the drawing. The error is what a backend said first.
    pub fn finish(mut self) -> Result<(), String> {
        let done = match &mut self.backend {
            Backend::Bitmap(b) => b.present().map_err(|e| e.to_string()),
            Backend::Svg(b) => b.present().map_err(|e| e.to_string()),
        };
        self.failed.take().map_or(done, Err)
    }

    fn note<E: Display>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.failed.get_or_insert_with(|| error.to_string());
        }
    }

    /// Fills a rectangle; what lies outside the picture is cut.
    pub fn fill(&mut self, area: Area, color: Rgb) {
        let (x0, y0) = (area.x.max(0), area.y.max(0));
        let (x1, y1) = (area.right().min(self.size.0 as i32), area.bottom().min(self.size.1 as i32));
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let style = shape(color, 1.0, 0, true);
        let result = match &mut self.backend {
            Backend::Bitmap(b) => b.draw_rect((x0, y0), (x1, y1), &style, true).map_err(|e| e.to_string()),
            Backend::Svg(b) => b.draw_rect((x0, y0), (x1, y1), &style, true).map_err(|e| e.to_string()),
        };
        self.note(result);
    }

    /// Draws the four edges of a rectangle, `width` pixels thick, inside it.
    pub fn frame(&mut self, area: Area, width: i32, color: Rgb) {
        let inner = (area.h - 2 * width).max(0);
        self.fill(Area::new(area.x, area.y, area.w, width), color);
        self.fill(Area::new(area.x, area.bottom() - width, area.w, width), color);
        self.fill(Area::new(area.x, area.y + width, width, inner), color);
        self.fill(Area::new(area.right() - width, area.y + width, width, inner), color);
    }

    /// A horizontal line of one pixel.
    pub fn horizontal(&mut self, x0: i32, x1: i32, y: i32, color: Rgb) {
        self.fill(Area::new(x0, y, x1 - x0, 1), color);
    }

    /// A vertical line of one pixel.
    pub fn vertical(&mut self, x: i32, y0: i32, y1: i32, color: Rgb) {
        self.fill(Area::new(x, y0, 1, y1 - y0), color);
    }

    /// A line through points.
    pub fn path(&mut self, points: &[(i32, i32)], width: u32, color: Rgb) {
        if points.len() < 2 {
            return;
        }
        if width > 1 && matches!(self.backend, Backend::Bitmap(_)) {
            for pair in points.windows(2) {
                self.stroke(pair[0], pair[1], width, color);
            }
            return;
        }
        let style = shape(color, 1.0, width, false);
        let points = points.iter().copied();
        let result = match &mut self.backend {
            Backend::Bitmap(b) => b.draw_path(points, &style).map_err(|e| e.to_string()),
            Backend::Svg(b) => b.draw_path(points, &style).map_err(|e| e.to_string()),
        };
        self.note(result);
    }

    /// A line of a bitmap, wider than a pixel: plotters' are thinner where they are steep; coverage by
    /// distance is not.
    fn stroke(&mut self, from: (i32, i32), to: (i32, i32), width: u32, color: Rgb) {
        let size = (self.size.0 as i32, self.size.1 as i32);
        let Backend::Bitmap(b) = &mut self.backend else { return };
        let steep = (to.1 - from.1).abs() > (to.0 - from.0).abs();
        // Along the longer axis; `across` is the other one.
        let turn = |p: (i32, i32)| if steep { (p.1, p.0) } else { p };
        let (mut a, mut z) = (turn(from), turn(to));
        if a.0 > z.0 {
            std::mem::swap(&mut a, &mut z);
        }
        let (along, across) = ((z.0 - a.0) as f32, (z.1 - a.1) as f32);
        let length = along.hypot(across);
        if length == 0.0 {
            return;
        }
        let half = width as f32 / 2.0;
        let reach = ((half + 1.0) * length / along).ceil() as i32;
        let (first, last) = if steep { (0, size.1 - 1) } else { (0, size.0 - 1) };
        for u in (a.0 - 1).max(first)..=(z.0 + 1).min(last) {
            let middle = a.1 as f32 + across * (u - a.0) as f32 / along;
            for v in middle as i32 - reach..=middle as i32 + reach {
                let (du, dv) = ((u - a.0) as f32, (v - a.1) as f32);
                let share = ((du * along + dv * across) / (length * length)).clamp(0.0, 1.0);
                let distance = (du - share * along).hypot(dv - share * across);
                let coverage = (half + 0.5 - distance).clamp(0.0, 1.0);
                let at = turn((u, v));
                if coverage > 0.0 && at.0 >= 0 && at.1 >= 0 && at.0 < size.0 && at.1 < size.1 {
                    let color = RGBAColor(color.0, color.1, color.2, coverage as f64);
                    // Cannot fail: the pixel lies inside.
                    let _ = b.draw_pixel(at, color.to_backend_color());
                }
            }
        }
    }

    /// A filled polygon.
    pub fn polygon(&mut self, points: &[(i32, i32)], color: Rgb) {
        let style = shape(color, 1.0, 0, true);
        let points = points.iter().copied();
        let result = match &mut self.backend {
            Backend::Bitmap(b) => b.fill_polygon(points, &style).map_err(|e| e.to_string()),
            Backend::Svg(b) => b.fill_polygon(points, &style).map_err(|e| e.to_string()),
        };
        self.note(result);
    }

    /// A ring (`width` > 0) or a disc (`width` = 0).
    pub fn circle(&mut self, center: (i32, i32), radius: u32, width: u32, color: Rgb) {
        let size = (self.size.0 as i32, self.size.1 as i32);
        match &mut self.backend {
            Backend::Svg(b) => {
                let style = shape(color, 1.0, width, width == 0);
                let result = b.draw_circle(center, radius, &style, width == 0).map_err(|e| e.to_string());
                self.note(result);
            }
            // plotters' small discs are hexagons; coverage by distance is round.
            Backend::Bitmap(b) => {
                let (radius, half) = (radius as f32, width as f32 / 2.0);
                let outer = if width == 0 { radius } else { radius + half };
                let inner = if width == 0 { -1.0 } else { radius - half };
                let reach = outer.ceil() as i32 + 1;
                for dy in -reach..=reach {
                    for dx in -reach..=reach {
                        let distance = (dx as f32).hypot(dy as f32);
                        let coverage = (outer + 0.5 - distance).clamp(0.0, 1.0)
                            * (distance - inner + 0.5).clamp(0.0, 1.0);
                        let at = (center.0 + dx, center.1 + dy);
                        if coverage > 0.0 && at.0 >= 0 && at.1 >= 0 && at.0 < size.0 && at.1 < size.1 {
                            let color = RGBAColor(color.0, color.1, color.2, coverage as f64);
                            // Cannot fail: the pixel lies inside.
                            let _ = b.draw_pixel(at, color.to_backend_color());
                        }
                    }
                }
            }
        }
    }

    /// Diagonal lines, `step` pixels apart, inside a rectangle.
    pub fn hatch(&mut self, area: Area, step: i32, color: Rgb) {
        let mut offset = step / 2;
        while offset < area.w + area.h {
            // From the lower left to the upper right, cut to the rectangle.
            let low = (area.x + (offset - area.h).max(0), area.y + offset.min(area.h));
            let high = (area.x + offset.min(area.w), area.y + (offset - area.w).max(0));
            if low.0 < high.0 {
                self.path(&[low, high], 1, color);
            }
            offset += step.max(2);
        }
    }

    /// A text whose line box has its upper left corner at (`x`, `y`). Control characters are made
    /// visible; characters that the font lacks become boxes.
    pub fn text(&mut self, x: i32, y: i32, text: &str, ink: Ink) {
        let text: String = safe(text).chars().map(|c| if is_drawable(c) { c } else { '□' }).collect();
        if text.trim().is_empty() {
            return;
        }
        match &mut self.backend {
            Backend::Svg(b) => {
                // The backend puts the baseline 0.76 em below the position of a top-anchored text and
                // divides its size by 1.24; both are undone here.
                let em = ink.face.em();
                let top = (y + ink.face.baseline()) as f32 - 0.76 * em;
                let style = if ink.bold { FontStyle::Bold } else { FontStyle::Normal };
                let color = RGBAColor(ink.color.0, ink.color.1, ink.color.2, 1.0);
                let style = TextStyle::from((FontFamily::Name(FAMILY), em as f64 * 1.24, style))
                    .color(&color)
                    .pos(Pos::new(HPos::Left, VPos::Top));
                // Viewers strip spaces at the start and fold them elsewhere; no-break spaces keep their width.
                let lead = text.chars().take_while(|c| *c == ' ').count();
                let x = x + lead as i32 * ink.face.advance();
                let text = text[lead..].replace("  ", "\u{a0}\u{a0}");
                let result = b.draw_text(&text, &style, (x, top.round() as i32)).map_err(|e| e.to_string());
                self.note(result);
            }
            Backend::Bitmap(_) => self.glyphs(x, y + ink.face.baseline(), &text, ink),
        }
    }

    fn glyphs(&mut self, mut x: i32, baseline: i32, text: &str, ink: Ink) {
        let size = (self.size.0 as i32, self.size.1 as i32);
        let color = RGBAColor(ink.color.0, ink.color.1, ink.color.2, 1.0);
        for c in text.chars() {
            let width = c.width().unwrap_or(0) as i32 * ink.face.advance();
            let mut known = true;
            if let Backend::Bitmap(b) = &mut self.backend {
                // A second strike, half a pixel on, is the bold of a face that has none.
                for shift in [0.0, 0.55].into_iter().take(1 + usize::from(ink.bold)) {
                    known = ink.face.rasterise(c, shift, |dx, dy, coverage| {
                        let at = (x + dx, baseline + dy);
                        if at.0 >= 0 && at.1 >= 0 && at.0 < size.0 && at.1 < size.1 {
                            // Cannot fail: the pixel lies inside.
                            let _ = b.draw_pixel(at, color.mix(coverage as f64).to_backend_color());
                        }
                    });
                }
            }
            if !known && width > 0 {
                let height = ink.face.em() * 0.73;
                let area = Area::new(x + 1, baseline - height as i32, width - 2, height as i32);
                self.frame(area, 1, ink.color);
            }
            x += width;
        }
    }

    /// A text that ends at `right`.
    pub fn text_right(&mut self, right: i32, y: i32, text: &str, ink: Ink) {
        self.text(right - ink.face.width(&safe(text)), y, text, ink);
    }

    /// A text centred on `x`.
    pub fn text_center(&mut self, x: i32, y: i32, text: &str, ink: Ink) {
        self.text(x - ink.face.width(&safe(text)) / 2, y, text, ink);
    }
}
