//! The characters of a screen as a picture: blocks, lines and braille as shapes, so that they meet as they do on
//! a terminal; everything else as text.

use super::canvas::{Area, Canvas, Ink};
use super::font::Face;
use super::output::{self, Format, Picture};
use super::{PlotError, Style};
use crate::palette::{Ground, Rgb};

/// One character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What stands there; nothing where the character before it is two columns wide.
    pub text: String,
    /// Its colour.
    pub ink: Rgb,
    /// The colour behind it.
    pub ground: Rgb,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it is underlined.
    pub underlined: bool,
}

/// A part of a screen, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screenshot {
    /// What it shows, for screen readers.
    pub title: String,
    /// Whether it is light or dark.
    pub ground: Ground,
    /// Characters in a row.
    pub columns: usize,
    /// Row after row.
    pub cells: Vec<Cell>,
}

/// Pixels that a character is wide: as large as reads well, but no wider a picture than is of use.
const ADVANCE: std::ops::RangeInclusive<i32> = Face::MIN_ADVANCE..=10;
const WIDEST: i32 = 3600;

impl Screenshot {
    /// The picture's bytes; nothing for CSV, which has no characters.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, PlotError> {
        let columns = self.columns.max(1);
        let advance = (WIDEST / columns as i32).clamp(*ADVANCE.start(), *ADVANCE.end());
        let style = Style::of_unit(advance, self.ground);
        let (width, line) = (style.normal.advance(), style.normal.line());
        let rows = self.cells.len().div_ceil(columns);
        // Small panes are drawn on a larger ground: pictures have a least size.
        let size = ((columns as i32 * width).max(64) as u32, (rows as i32 * line).max(64) as u32);
        let picture = Picture { id: "screen", title: &self.title, size, style: &style };
        let paint = |canvas: &mut Canvas<'_>, _: Area| {
            for (row, cells) in self.cells.chunks(columns).enumerate() {
                paint_row(canvas, cells, row as i32 * line, style.normal);
            }
        };
        output::draw(&picture, format, &paint, &String::new)
    }
}

fn paint_row(canvas: &mut Canvas<'_>, cells: &[Cell], y: i32, face: Face) {
    let (width, line) = (face.advance(), face.line());
    let place = |at: usize, n: usize| Area::new(at as i32 * width, y, n as i32 * width, line);
    let mut at = 0;
    for run in cells.chunk_by(|a, b| a.ground == b.ground) {
        canvas.fill(place(at, run.len()), run[0].ground);
        at += run.len();
    }
    at = 0;
    let same = |a: &Cell, b: &Cell| {
        let look = |c: &Cell| (c.ink, c.bold, c.underlined);
        look(a) == look(b) && [a, b].iter().all(|c| !is_shape(&c.text))
    };
    for run in cells.chunk_by(same) {
        let (first, area) = (&run[0], place(at, run.len()));
        if is_shape(&first.text) {
            paint_shape(canvas, first, area);
        } else {
            let text: String = run.iter().map(|cell| cell.text.as_str()).collect();
            canvas.text(area.x, y, &text, Ink { face, color: first.ink, bold: first.bold });
        }
        if first.underlined {
            let thick = (line / 16).max(1);
            canvas.fill(Area::new(area.x, area.bottom() - 2 * thick, area.w, thick), first.ink);
        }
        at += run.len();
    }
}

/// What a character is that is drawn as a shape.
fn shape(text: &str) -> Option<Shape> {
    let mut chars = text.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return None };
    let eighths = |part: u32| part as i32;
    Some(match c {
        '▀' => Shape::Block([0, 0, 8, 4]),
        '▐' => Shape::Block([4, 0, 4, 8]),
        '▁'..='█' => {
            let high = eighths(c as u32 - 0x2580);
            Shape::Block([0, 8 - high, 8, high])
        }
        '▉'..='▏' => Shape::Block([0, 0, eighths(0x2590 - c as u32), 8]),
        '░'..='▓' => Shape::Shade((c as u32 - 0x2590) as f32 / 4.0),
        '⠀'..='⣿' => Shape::Dots((c as u32 - 0x2800) as u8),
        // Up, down, left, right.
        '│' | '┃' => Shape::Lines([true, true, false, false]),
        '─' | '━' => Shape::Lines([false, false, true, true]),
        '┌' | '╭' => Shape::Lines([false, true, false, true]),
        '┐' | '╮' => Shape::Lines([false, true, true, false]),
        '└' | '╰' => Shape::Lines([true, false, false, true]),
        '┘' | '╯' => Shape::Lines([true, false, true, false]),
        '├' => Shape::Lines([true, true, false, true]),
        '┤' => Shape::Lines([true, true, true, false]),
        '┬' => Shape::Lines([false, true, true, true]),
        '┴' => Shape::Lines([true, false, true, true]),
        '┼' => Shape::Lines([true; 4]),
        _ => return None,
    })
}

fn is_shape(text: &str) -> bool {
    shape(text).is_some()
}

enum Shape {
    /// Left, top, width and height in eighths of the character.
    Block([i32; 4]),
    /// The whole character in a part of its colour.
    Shade(f32),
    /// Arms from the middle: up, down, left, right.
    Lines([bool; 4]),
    /// Dots of braille, as Unicode numbers them.
    Dots(u8),
}

fn paint_shape(canvas: &mut Canvas<'_>, cell: &Cell, area: Area) {
    match shape(&cell.text) {
        Some(Shape::Block([x, y, w, h])) => {
            let (left, right) = (area.x + area.w * x / 8, area.x + area.w * (x + w) / 8);
            let (top, bottom) = (area.y + area.h * y / 8, area.y + area.h * (y + h) / 8);
            canvas.fill(Area::new(left, top, right - left, bottom - top), cell.ink);
        }
        Some(Shape::Shade(part)) => canvas.fill(area, cell.ground.mix(cell.ink, part)),
        Some(Shape::Lines([up, down, left, right])) => {
            let thick = if matches!(cell.text.as_str(), "━" | "┃") || cell.bold { 2 } else { 1 };
            let (x, y) = (area.x + (area.w - thick) / 2, area.y + (area.h - thick) / 2);
            let mut arm = |is: bool, area| {
                if is {
                    canvas.fill(area, cell.ink);
                }
            };
            arm(up, Area::new(x, area.y, thick, y + thick - area.y));
            arm(down, Area::new(x, y, thick, area.bottom() - y));
            arm(left, Area::new(area.x, y, x + thick - area.x, thick));
            arm(right, Area::new(x, y, area.right() - x, thick));
        }
        Some(Shape::Dots(bits)) => {
            const PLACES: [(i32, i32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
            let side = (area.w / 4).max(1);
            for (_, (x, y)) in PLACES.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1) {
                let left = area.x + area.w * (2 * x + 1) / 4 - side / 2;
                let top = area.y + area.h * (2 * y + 1) / 8 - side / 2;
                canvas.fill(Area::new(left, top, side, side), cell.ink);
            }
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: Rgb = Rgb(250, 120, 10);
    const GROUND: Rgb = Rgb(10, 20, 30);

    fn screenshot(columns: usize, text: &str) -> Screenshot {
        let cell =
            |c: char| Cell { text: c.to_string(), ink: INK, ground: GROUND, bold: false, underlined: false };
        let cells = text.chars().map(cell).collect();
        Screenshot { title: "a <screen>".to_owned(), ground: Ground::Dark, columns, cells }
    }

    /// Share of a character's pixels that have exactly the ink's colour.
    fn inked(c: char) -> f64 {
        let columns = 8;
        let bytes = screenshot(columns, &c.to_string().repeat(columns * 4)).encode(Format::Png).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let all = picture.pixels().count() as f64;
        picture.pixels().filter(|p| p.0 == [INK.0, INK.1, INK.2]).count() as f64 / all
    }

    #[test]
    fn blocks_fill_their_part_and_lines_and_dots_theirs() {
        for (c, share) in
            [('█', 1.0), ('▀', 0.5), ('▄', 0.5), ('▌', 0.5), ('▐', 0.5), ('▂', 0.25), (' ', 0.0)]
        {
            // A line of 21 pixels cannot be halved exactly.
            assert!((inked(c) - share).abs() < 0.03, "{c}: {}", inked(c));
        }
        assert_eq!(inked('▒'), 0.0, "a shade is a colour between");
        let (cross, bar, all_dots, dot) = (inked('┼'), inked('─'), inked('⣿'), inked('⠁'));
        assert!(0.0 < bar && bar < cross && cross < 0.3, "{bar} {cross}");
        assert!((all_dots / dot - 8.0).abs() < 1e-9, "{dot} {all_dots}");
        assert!(inked('a') > 0.0);
    }

    #[test]
    fn columns_line_up_and_a_drawing_says_what_it_shows() {
        let svg = String::from_utf8(screenshot(20, &"ab ▀".repeat(20)).encode(Format::Svg).unwrap()).unwrap();
        assert!(svg.contains("a &lt;screen&gt;"));
        let bytes = screenshot(20, &"ab ▀".repeat(20)).encode(Format::Png).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width() % 20, picture.width() / 20), (0, 10));
        let wide = screenshot(1000, &"x".repeat(2000)).encode(Format::Png).unwrap();
        assert_eq!(image::load_from_memory(&wide).unwrap().width(), 5000);
    }
}
