//! What lies over the view and takes keys: the help, and prompts that take what is typed.

pub mod bookmarks;
pub mod command_line;
pub mod editor;
pub mod palette;
pub mod search;
pub mod typed;

use bookmarks::Bookmarking;
use command_line::CommandLine;
use palette::Palette;
use search::Search;
use typed::Typed;

use super::{Action, App};
use crate::tui::views::View;

/// What lies over the view.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The page of keys and signs.
    Help {
        /// Lines by which it is scrolled; drawing limits it to what there is.
        scroll: u16,
    },
    /// The command line.
    Command(CommandLine),
    /// A search.
    Search(Search),
    /// The palette.
    Palette(Palette),
    /// A mark's letter is waited for.
    Bookmark(Bookmarking),
    /// The list of breakpoints.
    Breakpoints,
}

/// Where a key acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a view.
    View(View),
    /// On the help page.
    Help,
    /// In a prompt, which takes what is typed.
    Prompt,
}

impl Overlay {
    /// Where a key acts while this lies over `view`.
    pub fn place(&self, view: View) -> Place {
        match self {
            Self::None => Place::View(view),
            Self::Help { .. } => Place::Help,
            _ => Place::Prompt,
        }
    }
}

impl App {
    /// An action while a prompt is open.
    pub(super) fn update_prompt(&mut self, action: Action) {
        match action {
            Action::Type(Typed::Esc) | Action::Leave | Action::Help => self.close_prompt(),
            Action::Type(typed) => match std::mem::replace(&mut self.overlay, Overlay::None) {
                Overlay::Command(line) => self.type_command(line, &typed),
                Overlay::Search(search) => self.type_search(search, &typed),
                Overlay::Palette(palette) => self.type_palette(palette, &typed),
                Overlay::Bookmark(what) => self.type_bookmark(what, &typed),
                // Any key puts the list away.
                Overlay::Breakpoints | Overlay::None | Overlay::Help { .. } => {}
            },
            Action::Wheel(_, notches) => {
                let typed = if notches < 0 { Typed::Up } else { Typed::Down };
                if matches!(self.overlay, Overlay::Palette(_)) {
                    self.update_prompt(Action::Type(typed));
                }
            }
            action @ (Action::Redraw | Action::Suspend | Action::Quit) => self.act(action),
            // Nothing else can be asked for while a prompt is open.
            _ => {}
        }
    }

    fn close_prompt(&mut self) {
        if let Overlay::Search(search) = std::mem::replace(&mut self.overlay, Overlay::None) {
            self.leave_search(&search);
        }
    }
}
