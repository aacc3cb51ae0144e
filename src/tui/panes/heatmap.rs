//! A grid as a picture: in half blocks, in signs, or in pixels.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::grid::Grid;
use super::{Context, pixels};
use crate::palette;
use crate::tui::theme::{Role, Theme};

impl Grid {
    /// Draws it in the upper left of `area`; `limit` is the magnitude at the ends of the scale,
    /// `channel` the one to point at.
    pub fn draw(&self, context: Context<'_>, limit: f32, channel: Option<u32>, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        let theme = context.theme;
        let pointed = channel
            .map(|c| self.plan().cell(c as usize))
            .filter(|at| at.0 < self.columns && at.1 < self.rows);
        if let Some(pictures) = context.pictures {
            let place = {
                let (width, height) = self.extent(area);
                Rect { width, height, ..area }
            };
            return pictures.add(pixels::picture(self, theme, limit, pointed, place, pictures), buf);
        }
        let per_line = self.plan().dots().down;
        let (across, down) = self.zoom(area);
        let (columns, lines) = self.extent(area);
        for y in 0..lines as usize {
            for x in 0..columns as usize {
                let upper = self.at(x / across, y * per_line / down);
                let lower = if per_line == 2 { self.at(x / across, (y * 2 + 1) / down) } else { None };
                let (glyph, style) = if per_line == 2 {
                    pair(*theme, upper, lower, limit)
                } else {
                    single(*theme, upper, limit)
                };
                buf[(area.x + x as u16, area.y + y as u16)].set_char(glyph).set_style(style);
            }
        }
        if let Some((x, y)) = pointed {
            let (x, y) = (x * across, y * down / per_line);
            if x < area.width as usize && y < area.height as usize {
                let cell = &mut buf[(area.x + x as u16, area.y + y as u16)];
                let sign = if matches!(cell.symbol(), "×" | "∞") { '×' } else { '+' };
                cell.set_char(sign).set_style(theme.bar(Role::Accent));
            }
        }
    }
}

fn sign(theme: Theme, value: f32) -> Option<(char, Style)> {
    palette::value_glyph(value).map(|glyph| (glyph, theme.bold(Role::Nonfinite)))
}

/// Two values in one character. One that is not finite shows its sign on the other's colour.
fn pair(theme: Theme, upper: Option<f32>, lower: Option<f32>, limit: f32) -> (char, Style) {
    let color = |value: f32| theme.color(palette::value(value, limit, theme.ground));
    for (odd, other) in [(upper, lower), (lower, upper)] {
        if let Some((glyph, style)) = odd.and_then(|v| sign(theme, v)) {
            let ground = other.filter(|v| v.is_finite()).map(color);
            return (glyph, ground.map_or(style, |bg| style.bg(bg)));
        }
    }
    match (upper, lower) {
        (Some(a), Some(b)) => ('▀', Style::new().fg(color(a)).bg(color(b))),
        (Some(a), None) => ('▀', Style::new().fg(color(a))),
        (None, Some(b)) => ('▄', Style::new().fg(color(b))),
        (None, None) => ('·', theme.style(Role::Missing)),
    }
}

/// One value as a sign: the denser, the further from zero.
fn single(theme: Theme, value: Option<f32>, limit: f32) -> (char, Style) {
    let Some(value) = value else { return ('·', theme.style(Role::Missing)) };
    if let Some(sign) = sign(theme, value) {
        return sign;
    }
    let index = palette::value_index(value, limit).map_or(0, |i| (i32::from(i) - 128).unsigned_abs());
    let glyph = [' ', '░', '▒', '▓', '█'][(index as usize * 5 / 129).min(4)];
    (glyph, theme.style(if value < 0.0 { Role::Reference } else { Role::Candidate }))
}
