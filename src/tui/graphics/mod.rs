//! Real pixels, where the terminal can show them. Panes say what they want shown as [`Picture`]s and know
//! no protocol; one file a protocol turns a picture into bytes; [`detect`] asks the terminal which
//! it speaks; [`Display`] sends what changed and takes back what is gone.

pub mod ask;
pub mod choice;
pub mod detect;
mod display;
pub mod iterm;
pub mod kitty;
pub mod late;
pub mod picture;
mod png;
pub mod sixel;
mod surroundings;

pub use choice::{Choice, NoGraphics};
pub use detect::Found;
pub use display::{Display, Placing};
pub use picture::{CellSize, Dots, Picture, Pictures};

use ratatui::layout::Rect;

/// A way of showing pixels in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// kitty's, with pictures put on the screen.
    Kitty,
    /// kitty's, with characters that stand for pieces of a picture: goes through tmux.
    KittyText,
    /// iTerm2's inline images.
    Iterm,
    /// DEC's sixels.
    Sixel,
}

impl Protocol {
    /// What it is called in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kitty | Self::KittyText => "kitty",
            Self::Iterm => "iterm",
            Self::Sixel => "sixel",
        }
    }

    /// Most dots that a column of the terminal is worth. A sixel picture grows with its dots where the
    /// others compress, and would take several times what half blocks take.
    pub fn finest(self) -> usize {
        if self == Self::Sixel { 2 } else { 4 }
    }

    /// The bytes that show a picture; the cursor is at its upper left corner.
    fn show(self, picture: &Picture, id: u8) -> Vec<u8> {
        let Rect { width, height, .. } = picture.area;
        match self {
            Self::Kitty => kitty::show(picture, id, [width, height]),
            Self::KittyText => surroundings::through_tmux(&kitty::lend(picture, id, [width, height])),
            Self::Iterm => iterm::show(picture, [width, height]),
            Self::Sixel => sixel::show(picture),
        }
    }

    /// The bytes that take a picture away, where writing over it does not do.
    fn remove(self, id: u8) -> Vec<u8> {
        match self {
            Self::Kitty => kitty::remove(id),
            Self::KittyText => surroundings::through_tmux(&kitty::remove(id)),
            Self::Iterm | Self::Sixel => Vec::new(),
        }
    }
}
