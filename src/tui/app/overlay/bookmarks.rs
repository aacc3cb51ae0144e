//! Marks: places with a letter.

use std::collections::BTreeMap;

use super::Overlay;
use super::typed::Typed;
use crate::tui::app::{App, Cursor, Target};

/// Places by letter.
pub type Bookmarks = BTreeMap<char, Cursor>;

/// What the letter that is waited for is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bookmarking {
    /// It names the place under the cursor.
    Set,
    /// The cursor goes to the place that it names.
    Go,
}

/// What can name a place.
pub fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

impl App {
    pub(in crate::tui::app) fn open_bookmarks(&mut self, what: Bookmarking) {
        if what == Bookmarking::Go && self.bookmarks.is_empty() {
            return self.tell("no marks yet: m and a letter mark the place under the cursor", false);
        }
        self.overlay = Overlay::Bookmark(what);
    }

    pub(super) fn type_bookmark(&mut self, what: Bookmarking, typed: &Typed) {
        let letter = match typed {
            Typed::Char(c) => *c,
            Typed::Pick(index) => match self.bookmarks.keys().nth(*index) {
                Some(&c) => c,
                None => return,
            },
            // A pasted text is no letter, and other keys are none either.
            _ => return self.tell("no mark: a letter or a digit names one", true),
        };
        match what {
            Bookmarking::Set => self.set_bookmark(letter),
            Bookmarking::Go => self.go_to_bookmark(letter),
        }
    }

    pub(in crate::tui::app) fn set_bookmark(&mut self, letter: char) {
        if !is_letter(letter) {
            return self.tell("no mark: a letter or a digit names one", true);
        }
        self.bookmarks.insert(letter, self.cursor);
        let Cursor { position, checkpoint, .. } = self.cursor;
        self.tell(format!("mark {letter}: position {position}, {checkpoint}"), false);
    }

    pub(in crate::tui::app) fn go_to_bookmark(&mut self, letter: char) {
        match self.bookmarks.get(&letter) {
            Some(to) => {
                let (position, checkpoint) = (Some(to.position), Some(to.checkpoint));
                self.jump_to(Target { position, checkpoint, channel: Some(to.channel) });
            }
            None if is_letter(letter) => self.tell(format!("no mark {letter}"), true),
            None => self.tell("no mark: a letter or a digit names one", true),
        }
    }

    /// Marked places by letter.
    pub fn bookmarks(&self) -> &Bookmarks {
        &self.bookmarks
    }

    /// Takes over marks that were kept elsewhere.
    pub fn set_bookmarks(&mut self, bookmarks: Bookmarks) {
        self.bookmarks = bookmarks.into_iter().filter(|(letter, _)| is_letter(*letter)).collect();
    }
}
