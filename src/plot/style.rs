//! What all pictures have in common: sizes, roles, titles, panels, ticks.

use super::canvas::{Area, Canvas, Ink};
use super::font::{Face, fit};
use crate::palette::{Ground, Rgb, Roles, roles};

/// Sizes and colours of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Dark or light.
    pub ground: Ground,
    /// Ordinary text.
    pub normal: Face,
    /// Labels and ticks.
    pub small: Face,
    /// Titles.
    pub large: Face,
}

impl Style {
    /// Text as large as lets `columns` × `lines` of it fit into `size`.
    pub fn fitting(size: (u32, u32), columns: u32, lines: u32, ground: Ground) -> Self {
        // A line is a little more than two columns high.
        let advance = (size.0 / columns.max(1)).min(size.1 * 20 / (43 * lines.max(1))) as i32;
        Self::of_unit(advance.min(28), ground)
    }

    /// Text whose characters are `unit` pixels wide.
    pub fn of_unit(unit: i32, ground: Ground) -> Self {
        let normal = Face::new(unit);
        let step = 1 + normal.advance() / 10;
        let (small, large) = (normal.advance() - step, normal.advance() + step);
        Self { ground, normal, small: Face::new(small), large: Face::new(large) }
    }

    /// The colours of the jobs.
    pub fn roles(&self) -> &'static Roles {
        roles(self.ground)
    }

    /// The picture's unit of distance: the width of a character.
    pub fn unit(&self) -> i32 {
        self.normal.advance()
    }

    /// Width of a line that matters, in pixels.
    pub fn stroke(&self) -> u32 {
        (self.unit() as u32 / 4).clamp(1, 4)
    }

    /// Ordinary text in a colour.
    pub fn ink(&self, color: Rgb) -> Ink {
        Ink { face: self.normal, color, bold: false }
    }

    /// Small text in a colour.
    pub fn label(&self, color: Rgb) -> Ink {
        Ink { face: self.small, color, bold: false }
    }

    /// Large text in a colour.
    pub fn title(&self, color: Rgb) -> Ink {
        Ink { face: self.large, color, bold: true }
    }

    /// A pane: frame, title at its upper left, note at its upper right. Returns the inside.
    pub fn pane(&self, canvas: &mut Canvas<'_>, area: Area, title: &str, note: &str) -> Area {
        let roles = self.roles();
        canvas.fill(area, roles.panel);
        canvas.frame(area, 1, roles.line);
        let (head, body) = area.split_top(self.normal.line() + self.unit() / 2);
        let inside = head.inset(self.unit(), self.unit() / 4);
        let ink = self.ink(roles.accent).bold();
        let shown = fit(title, ink.face.columns_in(inside.w));
        canvas.text(inside.x, inside.y, &shown, ink);
        let room = ink.face.columns_in(inside.w - ink.face.width(&shown) - 2 * self.unit());
        let note = fit(note, room);
        canvas.text_right(inside.right(), inside.y, &note, self.ink(roles.dim));
        canvas.horizontal(area.x, area.right(), head.bottom(), roles.line);
        let body = Area::new(body.x, body.y + 1, body.w, body.h - 1);
        body.inset(self.unit(), self.unit() * 3 / 4)
    }

    /// Height that a pane adds to what it holds.
    pub fn pane_extra(&self) -> i32 {
        self.normal.line() + self.unit() / 2 + 1 + 2 * (self.unit() * 3 / 4)
    }

    /// A sentence in the middle, for a pane that has nothing to show.
    pub fn nothing(&self, canvas: &mut Canvas<'_>, area: Area, why: &str) {
        let lines = super::font::wrap(why, self.normal.columns_in(area.w).max(1));
        let mut y = area.y + (area.h - lines.len() as i32 * self.normal.line()).max(0) / 2;
        for line in lines {
            if y + self.normal.line() > area.bottom() {
                break;
            }
            canvas.text_center(area.x + area.w / 2, y, &line, self.ink(self.roles().dim));
            y += self.normal.line();
        }
    }
}

/// The smallest of 1, 2, 5, 10, 20 … that is at least `least`.
pub fn nice_step(least: usize) -> usize {
    let mut decade = 1usize;
    loop {
        for factor in [1, 2, 5] {
            if decade.saturating_mul(factor) >= least {
                return decade.saturating_mul(factor);
            }
        }
        let Some(next) = decade.checked_mul(10) else { return usize::MAX };
        decade = next;
    }
}

/// Splits `items` into at most `pixels` bins, as even as possible; returns each bin's items and its
/// first and last pixel (exclusive).
pub fn bins(items: usize, pixels: i32, most: usize) -> Vec<Bin> {
    let pixels = pixels.max(0) as usize;
    let n = items.min(pixels).min(most.max(1));
    (0..n)
        .map(|i| Bin {
            first: i * items / n,
            end: (i + 1) * items / n,
            from: (i * pixels / n) as i32,
            to: ((i + 1) * pixels / n) as i32,
        })
        .collect()
}

/// See [`bins`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// First item.
    pub first: usize,
    /// First item that is not in it.
    pub end: usize,
    /// First pixel.
    pub from: i32,
    /// First pixel that is not in it.
    pub to: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_cover_everything_once() {
        for (items, pixels, most) in
            [(0, 10, 9), (3, 10, 9), (10, 3, 9), (4096, 700, 375), (7, 0, 9), (1, 1, 0)]
        {
            let bins = bins(items, pixels, most);
            let ends = bins.last().map_or((0, 0), |b| (b.end, b.to));
            if !bins.is_empty() {
                assert_eq!(ends, (items, pixels));
            }
            assert!(bins.windows(2).all(|w| w[0].end == w[1].first && w[0].to == w[1].from));
            assert!(bins.iter().all(|b| b.first < b.end && b.from < b.to));
            assert!(bins.len() <= most.max(1));
        }
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([1, 2, 3, 6, 11, 70].map(nice_step), [1, 2, 5, 10, 20, 100]);
    }
}
