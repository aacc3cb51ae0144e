//! The bundled font: DejaVu Sans Mono, compiled in, so that pictures look the same everywhere and
//! no font has to be installed.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, GlyphId, Point, PxScale};
use unicode_width::UnicodeWidthChar;

static BYTES: &[u8] = include_bytes!("../../assets/fonts/DejaVuSansMono.ttf");

/// What an SVG asks for: the same font where it is installed, a monospaced one otherwise.
pub const FAMILY: &str = "DejaVu Sans Mono, Menlo, Consolas, monospace";

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(BYTES).expect("the bundled font is a font (checked by a test)"));

/// The font at a size at which every character is a whole number of pixels wide, so that columns
/// of text line up exactly, in bitmaps and in SVG alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    advance: i32,
}

impl Face {
    /// The narrowest that can still be read.
    pub const MIN_ADVANCE: i32 = 5;

    /// A face whose characters are `advance` pixels wide.
    pub fn new(advance: i32) -> Self {
        Self { advance: advance.clamp(Self::MIN_ADVANCE, 64) }
    }

    /// Width of a character in pixels.
    pub fn advance(self) -> i32 {
        self.advance
    }

    /// Distance between lines in pixels.
    pub fn line(self) -> i32 {
        (self.advance * 43 + 10) / 20
    }

    /// Size of the em square in pixels: an SVG's `font-size`.
    pub fn em(self) -> f32 {
        let units = FONT.units_per_em().unwrap_or(2048.0);
        self.advance as f32 * units / FONT.h_advance_unscaled(FONT.glyph_id('0'))
    }

    /// From the top of a line to its baseline, in pixels.
    pub fn baseline(self) -> i32 {
        let scale = self.em() / FONT.units_per_em().unwrap_or(2048.0);
        let (up, down) = (FONT.ascent_unscaled() * scale, -FONT.descent_unscaled() * scale);
        ((self.line() as f32 - up - down) / 2.0 + up).round() as i32
    }

    /// Width of a text in pixels.
    pub fn width(self, text: &str) -> i32 {
        columns(text) * self.advance
    }

    /// How many columns fit in so many pixels.
    pub fn columns_in(self, pixels: i32) -> usize {
        (pixels.max(0) / self.advance) as usize
    }

    /// Calls `dot` with the coverage (0 to 1) of every pixel of the character, relative to the
    /// baseline's left end. False if the font does not have the character.
    pub fn rasterise(self, c: char, shift: f32, mut dot: impl FnMut(i32, i32, f32)) -> bool {
        let id = FONT.glyph_id(c);
        if id == GlyphId(0) {
            return false;
        }
        let scale = self.em() * FONT.height_unscaled() / FONT.units_per_em().unwrap_or(2048.0);
        let glyph = id.with_scale_and_position(PxScale::from(scale), Point { x: shift, y: 0.0 });
        if let Some(outline) = FONT.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, c| dot(corner.x as i32 + x as i32, corner.y as i32 + y as i32, c.min(1.0)));
        }
        true
    }
}

/// Width of a text in columns: wide characters take two, combining ones none.
pub fn columns(text: &str) -> i32 {
    text.chars().map(|c| c.width().unwrap_or(0) as i32).sum()
}

/// `text` cut to `max` columns, with an ellipsis where something was cut.
pub fn fit(text: &str, max: usize) -> String {
    if columns(text) as usize <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > max {
            break;
        }
        out.push(c);
    }
    if max > 0 {
        out.push('…');
    }
    out
}

/// `text` broken into lines of at most `max` columns, at spaces where there are any.
pub fn wrap(text: &str, max: usize) -> Vec<String> {
    let max = max.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if columns(&line) as usize + gap + columns(word) as usize <= max {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if columns(&line) as usize + c.width().unwrap_or(0) > max && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_that_pictures_use_is_in_the_font() {
        for c in "aZ09·×≠∞Δ▲▼◀▶●○→←↑↓│─…▁⏎⇥≤≥±²ΣµK–—|‖█□�".chars()
        {
            assert!(Face::new(8).rasterise(c, 0.0, |_, _, _| ()), "{c}");
        }
        assert!(!Face::new(8).rasterise('\u{4e2d}', 0.0, |_, _, _| ()));
    }

    #[test]
    fn characters_are_as_wide_as_promised() {
        let mut right = 0;
        let mut ink = 0.0;
        assert!(Face::new(10).rasterise('M', 0.0, |x, _, c| {
            right = right.max(x);
            ink += c;
        }));
        assert!((7..=10).contains(&right), "{right}");
        assert!(ink > 20.0);
    }

    #[test]
    fn cutting_and_wrapping_count_columns() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("中中中", 4), "中…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("中", 1), ["中"]);
    }
}
