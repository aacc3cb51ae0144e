//! What the terminal shows as pixels: sent when it changes, taken away when it is gone.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::picture::{CellSize, Picture, Pictures};
use super::{Protocol, kitty};

/// Pictures at once at most; half of them may be replaced in one frame.
const MOST: u8 = 16;

/// One picture that the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    id: u8,
    print: u64,
    area: Rect,
}

/// How pictures get to a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placing {
    /// By what protocol.
    pub protocol: Protocol,
    /// Pixels of a character.
    pub cell: CellSize,
    /// Colours that a picture may have.
    pub colors: usize,
}

/// The pictures of one terminal.
#[derive(Debug)]
pub struct Display {
    placing: Placing,
    /// The first of [`MOST`] numbers that are this program's: others may show pictures in the same terminal.
    first: u8,
    shown: Vec<Shown>,
}

impl Display {
    /// Nothing is shown yet. Programs with different `seed`s (process numbers) use different numbers for their pictures.
    pub fn new(placing: Placing, seed: u32) -> Self {
        // 0 is no number; 1 to 15 are others' favourites.
        let first = MOST + (seed % 14) as u8 * MOST;
        Self { placing, first, shown: Vec::new() }
    }

    /// How pictures get there.
    pub fn placing(&self) -> Placing {
        self.placing
    }

    /// Takes over how large a character is now, where the window's size tells it.
    pub fn measure(&mut self) {
        if let Some(cell) = CellSize::of_window() {
            self.placing.cell = cell;
        }
    }

    /// An empty frame.
    pub fn pictures(&self) -> Pictures {
        let Placing { protocol, cell, colors } = self.placing;
        Pictures::new(cell, protocol.finest(), colors)
    }

    /// The bytes that make the terminal show these pictures and no others, to be sent after the text of
    /// the frame; `buf` is that text, before it is sent.
    pub fn change(&mut self, wanted: Vec<Picture>, buf: &mut Buffer) -> Vec<u8> {
        let protocol = self.placing.protocol;
        let mut out = Vec::new();
        let mut next: Vec<Shown> = Vec::with_capacity(wanted.len());
        for picture in wanted.into_iter().take(usize::from(MOST / 2)) {
            let (area, print) = (picture.area, picture.print());
            let kept = self.shown.iter().find(|old| (old.area, old.print) == (area, print)).copied();
            let shown = kept.unwrap_or_else(|| Shown { id: self.number(area, &next), print, area });
            if kept.is_none() {
                out.extend_from_slice(format!("\x1b[{};{}H", area.y + 1, area.x + 1).as_bytes());
                out.extend(protocol.show(&picture, shown.id));
            }
            if protocol == Protocol::KittyText {
                kitty::write_placeholders(area, shown.id, buf);
            }
            next.push(shown);
        }
        // After the new ones, so that there is no moment without a picture.
        for old in std::mem::replace(&mut self.shown, next) {
            if self.shown.iter().all(|new| new.id != old.id) {
                out.extend(protocol.remove(old.id));
            }
        }
        out
    }

    /// A number for a picture that is new at this place.
    fn number(&self, area: Rect, next: &[Shown]) -> u8 {
        // Text that shows pieces of an older picture shows the new one's instead, if the number is the same.
        let older = self.shown.iter().find(|old| old.area == area).map(|old| old.id);
        let is_taken = |id: u8| next.iter().any(|new| new.id == id);
        if self.placing.protocol == Protocol::KittyText
            && let Some(id) = older.filter(|&id| !is_taken(id))
        {
            return id;
        }
        let is_shown = |id: u8| self.shown.iter().any(|old| old.id == id);
        let mut ids = self.first..self.first + (MOST - 1);
        ids.find(|&id| !is_taken(id) && !is_shown(id)).unwrap_or(self.first + MOST - 1)
    }

    /// The terminal has been cleared: nothing is shown any more.
    pub fn forget(&mut self) {
        self.shown.clear();
    }

    /// The bytes that take everything away that this program may have shown.
    pub fn farewell(&self) -> Vec<u8> {
        (self.first..=self.first + (MOST - 1)).flat_map(|id| self.placing.protocol.remove(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests_support::{checkered, noisy};
    use super::*;

    const CELL: CellSize = CellSize { width: 8, height: 16 };

    fn display(protocol: Protocol) -> (Display, Buffer) {
        let placing = Placing { protocol, cell: CELL, colors: 256 };
        (Display::new(placing, 3), Buffer::empty(Rect::new(0, 0, 80, 24)))
    }

    fn at(x: u16, picture: Picture) -> Picture {
        Picture { area: Rect { x, ..picture.area }, ..picture }
    }

    fn count(bytes: &[u8], what: &str) -> usize {
        String::from_utf8_lossy(bytes).matches(what).count()
    }

    #[test]
    fn only_what_changes_is_sent_and_what_is_gone_is_taken_away() {
        let (mut display, mut buf) = display(Protocol::Kitty);
        let two = || vec![at(0, checkered(5, 3)), at(20, noisy(5, 3))];
        let first = display.change(two(), &mut buf);
        assert_eq!((count(&first, "a=T"), count(&first, "a=d")), (2, 0));
        assert!(first.starts_with(b"\x1b[3;1H\x1b_G"), "where it belongs");
        assert!(display.change(two(), &mut buf).is_empty());
        let moved = display.change(vec![at(0, checkered(5, 3)), at(21, noisy(5, 3))], &mut buf);
        assert_eq!((count(&moved, "a=T"), count(&moved, "a=d")), (1, 1));
        let shown = String::from_utf8_lossy(&moved).find("a=T");
        assert!(shown < String::from_utf8_lossy(&moved).find("a=d"), "the new one first");
        let gone = display.change(Vec::new(), &mut buf);
        assert_eq!((count(&gone, "a=T"), count(&gone, "a=d")), (0, 2));
        assert!(display.change(Vec::new(), &mut buf).is_empty());
        display.change(two(), &mut buf);
        display.forget();
        assert_eq!(count(&display.change(two(), &mut buf), "a=T"), 2, "a cleared terminal is filled again");
    }

    #[test]
    fn numbers_are_never_shared_between_new_and_old() {
        let (mut display, mut buf) = display(Protocol::Kitty);
        for frame in 0..40u16 {
            let all: Vec<Picture> = (0..8).map(|i| at(i * 6 + frame % 2, checkered(5, 3))).collect();
            display.change(all, &mut buf);
            let mut ids: Vec<u8> = display.shown.iter().map(|s| s.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 8, "frame {frame}");
        }
        let own = String::from_utf8(display.farewell()).unwrap();
        for shown in &display.shown {
            assert!(own.contains(&format!("i={},", shown.id)));
        }
    }

    #[test]
    fn placeholders_stay_where_only_the_pixels_change() {
        let (mut display, mut buf) = display(Protocol::KittyText);
        display.change(vec![checkered(5, 3)], &mut buf);
        let before = buf.clone();
        let bytes = display.change(vec![noisy(5, 3)], &mut buf);
        assert!(count(&bytes, "a=T,U=1") == 1 && count(&bytes, "a=d") == 0);
        assert!(bytes.windows(7).any(|w| w == b"\x1bPtmux;"), "wrapped for tmux");
        assert_eq!(buf, before);
        assert!(buf[(3, 2)].symbol().starts_with('\u{10eeee}'));
    }

    #[test]
    fn sixels_and_inline_images_are_written_over_not_taken_away() {
        for protocol in [Protocol::Sixel, Protocol::Iterm] {
            let (mut display, mut buf) = display(protocol);
            assert!(!display.change(vec![checkered(5, 3)], &mut buf).is_empty());
            assert!(display.change(Vec::new(), &mut buf).is_empty());
            assert!(display.farewell().is_empty());
        }
    }
}
