//! Pictures as panes hand them over: where, how large, which colours.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;

use crate::palette::Rgb;

/// Colours of a picture at most: its pixels are single bytes.
pub const COLORS: usize = 256;

/// Pixels of one character of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellSize {
    /// Across.
    pub width: u16,
    /// Down.
    pub height: u16,
}

impl CellSize {
    /// A size that a terminal may have; anything else is nonsense.
    pub fn new(width: u16, height: u16) -> Option<Self> {
        let sound = (2..=128).contains(&width) && (4..=256).contains(&height);
        sound.then_some(Self { width, height })
    }

    /// As the window's size in pixels tells it, where the terminal says that.
    pub fn of_window() -> Option<Self> {
        let size = crossterm::terminal::window_size().ok()?;
        Self::new(size.width.checked_div(size.columns)?, size.height.checked_div(size.rows)?)
    }
}

/// Dots of a heatmap in one character of the terminal. A dot is the least that stands for values of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dots {
    /// Across.
    pub across: usize,
    /// Down.
    pub down: usize,
}

impl Dots {
    /// A character is one dot: a sign.
    pub const SIGN: Self = Self { across: 1, down: 1 };
    /// A character is two dots: half blocks.
    pub const HALVES: Self = Self { across: 1, down: 2 };
    /// Square dots, from the coarsest to the finest that pixels are used for.
    const FINER: [Self; 3] = [Self::HALVES, Self { across: 2, down: 4 }, Self { across: 4, down: 8 }];
}

/// Pixels for a rectangle of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The rectangle in characters. The picture fills it.
    pub area: Rect,
    /// Pixels across and down.
    pub size: [u32; 2],
    /// Colours, at most [`COLORS`].
    pub colors: Vec<Rgb>,
    /// Row by row: places in `colors`.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The first `lines` lines of the terminal.
    #[must_use]
    pub fn top(mut self, lines: u16) -> Self {
        let lines = lines.min(self.area.height);
        let rows = self.size[1] / u32::from(self.area.height.max(1)) * u32::from(lines);
        self.pixels.truncate((rows * self.size[0]) as usize);
        self.size[1] = rows;
        self.area.height = lines;
        self
    }

    /// Whether it can be drawn: something to see, and as many pixels as it says.
    pub fn is_sound(&self) -> bool {
        let [width, height] = self.size;
        width > 0
            && height > 0
            && !self.area.is_empty()
            && self.pixels.len() as u64 == u64::from(width) * u64::from(height)
            && self.colors.len() <= COLORS
            && self.pixels.iter().all(|&pixel| usize::from(pixel) < self.colors.len())
    }

    /// Tells pictures apart: the place and every pixel.
    pub(super) fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.area, self.size, &self.colors).hash(&mut hasher);
        hasher.write(&self.pixels);
        hasher.finish()
    }
}

/// What the panes of one frame want shown as pixels.
#[derive(Debug)]
pub struct Pictures {
    cell: CellSize,
    levels: &'static [Dots],
    dots: Dots,
    colors: usize,
    wanted: RefCell<Vec<Picture>>,
}

impl Pictures {
    /// For a terminal with characters of this size, at most so many dots in a column, and so many colours.
    pub fn new(cell: CellSize, finest: usize, colors: usize) -> Self {
        // A dot of one pixel is not seen.
        let is_seen = |dots: &&Dots| {
            dots.across * 2 <= usize::from(cell.width) && dots.down * 2 <= usize::from(cell.height)
        };
        let seen = Dots::FINER.iter().take_while(is_seen).count().max(1);
        let levels = Dots::FINER[..seen].iter().take_while(|dots| dots.across <= finest).count().max(1);
        Self {
            cell,
            levels: &Dots::FINER[..levels],
            dots: Dots::FINER[seen - 1],
            colors,
            wanted: RefCell::default(),
        }
    }

    /// Pixels of a character.
    pub fn cell(&self) -> CellSize {
        self.cell
    }

    /// How finely values may be told apart, the coarsest first.
    pub fn levels(&self) -> &'static [Dots] {
        self.levels
    }

    /// The finest division of a character, which the sizes of cells are multiples of.
    pub fn dots(&self) -> Dots {
        self.dots
    }

    /// Colours that a picture may have.
    pub fn colors(&self) -> usize {
        self.colors
    }

    /// Takes a picture, and marks its place: what is drawn over it later is seen by the mark that is gone.
    pub fn add(&self, picture: Picture, buf: &mut Buffer) {
        if !picture.is_sound() || picture.area.intersection(buf.area) != picture.area {
            return;
        }
        for at in picture.area.positions() {
            buf[at].set_symbol(" ").set_diff_option(CellDiffOption::Skip);
        }
        self.wanted.borrow_mut().push(picture);
    }

    /// What is to be shown: the lines of each picture above the first that something was drawn over.
    /// The lines below become ordinary ones.
    pub fn settle(self, buf: &mut Buffer) -> Vec<Picture> {
        let free = |buf: &Buffer, area: Rect, y: u16| {
            (area.left()..area.right()).all(|x| buf[(x, y)].diff_option == CellDiffOption::Skip)
        };
        let mut shown = Vec::new();
        for picture in self.wanted.into_inner() {
            let area = picture.area;
            let lines = (area.top()..area.bottom()).take_while(|&y| free(buf, area, y)).count() as u16;
            for at in (Rect { y: area.y + lines, height: area.height - lines, ..area }).positions() {
                if buf[at].diff_option == CellDiffOption::Skip {
                    buf[at].set_diff_option(CellDiffOption::None);
                }
            }
            if lines > 0 {
                shown.push(picture.top(lines));
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use ratatui::widgets::{Clear, Widget};

    use super::*;

    fn picture(area: Rect) -> Picture {
        let size = [u32::from(area.width) * 8, u32::from(area.height) * 16];
        let pixels = vec![1; (size[0] * size[1]) as usize];
        Picture { area, size, colors: vec![Rgb(0, 0, 0), Rgb(9, 9, 9)], pixels }
    }

    #[test]
    fn what_lies_over_a_picture_cuts_it_off() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 10));
        let pictures = Pictures::new(CellSize { width: 8, height: 16 }, 4, COLORS);
        pictures.add(picture(Rect::new(2, 1, 5, 6)), &mut buf);
        pictures.add(picture(Rect::new(10, 1, 5, 2)), &mut buf);
        pictures.add(picture(Rect::new(10, 5, 5, 2)), &mut buf);
        Clear.render(Rect::new(0, 4, 20, 6), &mut buf);
        let shown = pictures.settle(&mut buf);
        let areas: Vec<Rect> = shown.iter().map(|p| p.area).collect();
        assert_eq!(areas, [Rect::new(2, 1, 5, 3), Rect::new(10, 1, 5, 2)]);
        assert!(shown.iter().all(Picture::is_sound));
        assert_eq!(shown[0].size, [40, 48]);
        for at in buf.area.positions() {
            let skipped = buf[at].diff_option == CellDiffOption::Skip;
            assert_eq!(skipped, areas.iter().any(|area| area.contains(at)), "{at}");
        }
    }

    #[test]
    fn dots_have_two_pixels_at_least() {
        let levels =
            |width, height, finest| Pictures::new(CellSize { width, height }, finest, COLORS).levels().len();
        assert_eq!([levels(8, 16, 4), levels(6, 13, 4), levels(3, 6, 4)], [3, 2, 1]);
        assert_eq!(levels(20, 40, 2), 2);
    }

    #[test]
    fn nonsense_is_not_taken() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 10));
        let pictures = Pictures::new(CellSize { width: 8, height: 16 }, 4, COLORS);
        let good = picture(Rect::new(0, 0, 2, 2));
        pictures.add(Picture { pixels: vec![0; 3], ..good.clone() }, &mut buf);
        pictures.add(Picture { colors: Vec::new(), ..good.clone() }, &mut buf);
        pictures.add(Picture { area: Rect::new(19, 9, 2, 2), ..good.clone() }, &mut buf);
        pictures.add(picture(Rect::new(0, 0, 0, 0)), &mut buf);
        assert_eq!(pictures.settle(&mut buf), []);
        assert_ne!(good.print(), picture(Rect::new(1, 0, 2, 2)).print(), "the place counts");
    }
}

/// Pictures that the protocols' tests send, and a reader of what comes out.
#[cfg(test)]
pub(super) mod tests_support {
    use super::*;

    impl Picture {
        /// The colour of every pixel.
        pub(in crate::tui) fn rgb(&self) -> Vec<Rgb> {
            self.pixels.iter().map(|&pixel| self.colors[usize::from(pixel)]).collect()
        }
    }

    fn of(columns: u16, lines: u16, pixel: impl Fn(u32, u32) -> u8) -> Picture {
        let (area, size) = (Rect::new(3, 2, columns, lines), [u32::from(columns) * 8, u32::from(lines) * 16]);
        let colors = (0..=255).map(|i| Rgb(i, 255 - i, i.wrapping_mul(7))).collect();
        let pixels = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y))).map(|(x, y)| pixel(x, y));
        Picture { area, size, colors, pixels: pixels.collect() }
    }

    /// Squares in two colours.
    pub(in super::super) fn checkered(columns: u16, lines: u16) -> Picture {
        of(columns, lines, |x, y| if (x / 4 + y / 4) % 2 == 0 { 3 } else { 250 })
    }

    /// No pixel like its neighbour.
    pub(in super::super) fn noisy(columns: u16, lines: u16) -> Picture {
        of(columns, lines, |x, y| {
            ((x * 7919 + y * 104_729) ^ (x * y)).wrapping_mul(2_654_435_761).to_be_bytes()[0]
        })
    }

    pub(in super::super) fn decoded_png(file: &[u8]) -> Vec<Rgb> {
        let picture = image::load_from_memory(file).expect("a PNG").to_rgb8();
        picture.pixels().map(|p| Rgb(p[0], p[1], p[2])).collect()
    }
}
