//! The token strip: text, position and flags of each token.

use std::fmt::Write as _;

use super::canvas::{Area, Canvas, Ink};
use super::font::{columns, fit};
use super::style::Style;
use crate::csv;
use crate::palette::Shade;

/// Columns of a token's text at most.
const MAX_TEXT: usize = 16;

/// One token of the strip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenChip {
    /// Position.
    pub position: u32,
    /// Id.
    pub id: Option<u32>,
    /// Text, safe to show.
    pub text: String,
    /// Whether it belongs to the prompt.
    pub from_prompt: bool,
    /// The worst of its column.
    pub shade: Shade,
    /// Glyphs of the garbage found, each once.
    pub flags: String,
    /// Classes of the garbage found, for the data.
    pub classes: Vec<&'static str>,
}

impl TokenChip {
    fn shown(&self) -> String {
        match (self.text.is_empty(), self.id) {
            (false, _) => fit(&self.text, MAX_TEXT),
            (true, Some(id)) => format!("#{id}"),
            (true, None) => "—".to_owned(),
        }
    }
}

/// The data of the strip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokensData {
    /// By position.
    pub tokens: Vec<TokenChip>,
    /// Index of the token under the cursor.
    pub cursor: Option<usize>,
}

impl TokensData {
    /// The data as CSV.
    pub fn csv(&self) -> String {
        let mut out = String::from("position,token,text,from,state,garbage\n");
        for t in &self.tokens {
            let state = match t.shade {
                Shade::Empty => "",
                Shade::Within(_) => "within-noise",
                Shade::Missing => "missing",
                Shade::Mismatch => "mismatch",
                Shade::Beyond(_) => "beyond-noise",
                Shade::Infinite => "not-finite",
            };
            let _ = writeln!(
                out,
                "{},{},{},{},{state},{}",
                t.position,
                t.id.map_or(String::new(), |i| i.to_string()),
                csv::field(&t.text),
                if t.from_prompt { "prompt" } else { "sampled" },
                t.classes.join(" ")
            );
        }
        out
    }

    /// Height of one line of the strip.
    pub fn line_height(style: &Style) -> i32 {
        style.normal.line() + style.small.line() + style.unit()
    }

    /// Height of all lines at this width.
    pub fn height(&self, width: i32, style: &Style) -> i32 {
        self.lines(width, style).len().max(1) as i32 * Self::line_height(style)
    }

    /// Lays chips out in lines of at most `width` pixels: index of each line's first chip.
    fn lines(&self, width: i32, style: &Style) -> Vec<usize> {
        let mut starts = Vec::new();
        let mut x = width;
        for (i, chip) in self.tokens.iter().enumerate() {
            let w = chip_width(chip, style);
            if x + w > width {
                starts.push(i);
                x = 0;
            }
            x += w + style.unit() / 2;
        }
        starts
    }

    /// Draws as many lines as fit, around the cursor.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
        if self.tokens.is_empty() {
            style.nothing(canvas, area, "no tokens yet");
            return;
        }
        let height = Self::line_height(style);
        let starts = self.lines(area.w, style);
        let fits = (area.h / height).max(1) as usize;
        let at = self.cursor.unwrap_or(0);
        let line = starts.iter().rposition(|&s| s <= at).unwrap_or(0);
        let first = line.saturating_sub(fits / 2).min(starts.len().saturating_sub(fits));
        for (row, index) in (first..starts.len().min(first + fits)).enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(self.tokens.len());
            let mut x = area.x;
            for i in starts[index]..end {
                let w = chip_width(&self.tokens[i], style);
                let chip = Area::new(x, area.y + row as i32 * height, w, height - style.unit() / 2);
                draw_chip(canvas, chip, &self.tokens[i], self.cursor == Some(i), style);
                x += w + style.unit() / 2;
            }
        }
    }
}

fn chip_width(chip: &TokenChip, style: &Style) -> i32 {
    let text = style.normal.width(&chip.shown());
    let under = style.small.width(&chip.position.to_string())
        + if chip.flags.is_empty() { 0 } else { style.small.advance() * (columns(&chip.flags) + 1) };
    text.max(under) + style.unit()
}

fn draw_chip(canvas: &mut Canvas<'_>, area: Area, chip: &TokenChip, chosen: bool, style: &Style) {
    let roles = style.roles();
    let unit = style.unit();
    let (upper, lower) = area.split_top(style.normal.line() + unit / 4);
    canvas.fill(upper, if chosen { roles.accent } else { roles.panel.mix(roles.line, 0.5) });
    let color = match (chosen, chip.from_prompt) {
        (true, _) => roles.ground,
        (false, true) => roles.text,
        (false, false) => roles.accent,
    };
    canvas.text(upper.x + unit / 2, upper.y + unit / 8, &chip.shown(), style.ink(color));
    // The column's worst severity as a bar under the token.
    let bar = Area::new(upper.x, upper.bottom(), upper.w, (unit / 2).max(3));
    if let Some(shade) = chip.shade.color(style.ground) {
        canvas.fill(bar, shade);
    }
    let y = bar.bottom().min(lower.bottom() - style.small.line());
    let ink = style.label(if chosen { roles.accent } else { roles.dim });
    canvas.text(lower.x + unit / 2, y, &chip.position.to_string(), ink);
    let flags = Ink { color: roles.nonfinite, bold: true, ..ink };
    canvas.text_right(lower.right() - unit / 4, y, &chip.flags, flags);
}
