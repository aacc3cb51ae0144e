//! Search over tokens and checkpoints; the cursor goes along while one types.

use super::Overlay;
use super::editor::Editor;
use super::typed::Typed;
use crate::model::Checkpoint;
use crate::tui::app::{App, Cursor};

/// A search that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The text.
    pub editor: Editor,
    /// What was found.
    pub hits: Vec<Hit>,
    /// Which of them the cursor is at.
    pub at: Option<usize>,
    /// Where the cursor was before.
    origin: Cursor,
    /// Whether it followed the newest position, and might be led.
    was: (bool, bool),
}

/// Something found: the cursor goes there along its row or its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// The token at this position.
    Token(u32),
    /// This checkpoint.
    Checkpoint(Checkpoint),
}

impl App {
    pub(in crate::tui::app) fn open_search(&mut self) {
        self.overlay = Overlay::Search(Search {
            editor: Editor::default(),
            hits: Vec::new(),
            at: None,
            origin: self.cursor,
            was: (self.following, self.leads),
        });
    }

    pub(super) fn type_search(&mut self, mut search: Search, typed: &Typed) {
        match typed {
            Typed::Enter => return self.accept_search(&search),
            Typed::Backspace if search.editor.text().is_empty() => return self.leave_search(&search),
            Typed::Up if search.editor.text().is_empty() => {
                if let Some((text, _)) = &self.searched {
                    search.editor.set(&text.clone());
                    self.seek_while_typing(&mut search);
                }
            }
            Typed::Down | Typed::Next => self.go_on_while_typing(&mut search, 1),
            Typed::Up | Typed::Previous => self.go_on_while_typing(&mut search, -1),
            typed => {
                if search.editor.edit(typed) {
                    self.seek_while_typing(&mut search);
                }
            }
        }
        self.overlay = Overlay::Search(search);
    }

    /// To the first hit from where the search began on.
    fn seek_while_typing(&mut self, search: &mut Search) {
        search.hits = self.hits(search.editor.text());
        let origin = search.origin;
        let ahead = |hit: &Hit| match *hit {
            Hit::Token(position) => position >= origin.position,
            Hit::Checkpoint(checkpoint) => checkpoint >= origin.checkpoint,
        };
        search.at = search.hits.iter().position(ahead).or((!search.hits.is_empty()).then_some(0));
        self.show_hit(search);
    }

    fn go_on_while_typing(&mut self, search: &mut Search, by: isize) {
        let count = search.hits.len();
        if let Some(at) = search.at {
            search.at = Some((at + count).saturating_add_signed(by) % count);
            self.show_hit(search);
        }
    }

    fn show_hit(&mut self, search: &Search) {
        self.restore(search);
        if let Some(&hit) = search.at.and_then(|at| search.hits.get(at)) {
            self.go_to_hit(hit);
        }
        self.anchor = self.cursor;
    }

    fn restore(&mut self, search: &Search) {
        self.go(search.origin.position, search.origin.checkpoint);
        self.cursor.channel = search.origin.channel;
    }

    fn accept_search(&mut self, search: &Search) {
        let Some(&hit) = search.at.and_then(|at| search.hits.get(at)) else {
            let text = search.editor.text().to_owned();
            self.leave_search(search);
            if !text.is_empty() {
                self.tell(format!("no token and no checkpoint holds `{text}`"), true);
            }
            return;
        };
        self.history.jump(search.origin);
        self.searched = Some((search.editor.text().to_owned(), hit));
        self.tell_hit(&search.hits, hit);
    }

    pub(super) fn leave_search(&mut self, search: &Search) {
        self.restore(search);
        (self.following, self.leads) = search.was;
        self.anchor = self.cursor;
    }

    /// The hit after the last one, or before it.
    pub(in crate::tui::app) fn next_hit(&mut self, forward: bool) {
        let Some((text, last)) = self.searched.clone() else {
            return self.tell("nothing was searched for yet: / searches tokens and checkpoints", false);
        };
        let hits = self.hits(&text);
        let found = if forward {
            hits.iter().find(|&&hit| hit > last).or(hits.first())
        } else {
            hits.iter().rev().find(|&&hit| hit < last).or(hits.last())
        };
        match found {
            Some(&hit) => {
                self.history.jump(self.cursor);
                self.go_to_hit(hit);
                self.searched = Some((text, hit));
                self.tell_hit(&hits, hit);
            }
            None => self.tell(format!("no token and no checkpoint holds `{text}` any more"), false),
        }
    }

    fn go_to_hit(&mut self, hit: Hit) {
        match hit {
            Hit::Token(position) => self.go_along(position),
            Hit::Checkpoint(checkpoint) => self.go(self.cursor.position, checkpoint),
        }
    }

    fn tell_hit(&mut self, hits: &[Hit], hit: Hit) {
        let at = hits.binary_search(&hit).unwrap_or(0);
        let text = format!("{} of {}: {}", at + 1, hits.len(), self.name_of_hit(hit));
        self.tell(text, false);
    }

    /// What a hit is, in words.
    pub fn name_of_hit(&self, hit: Hit) -> String {
        match hit {
            Hit::Token(position) => {
                let token = self.slot(position).and_then(|i| self.token(self.axis[i]));
                let text = token.map(|t| crate::text::safe_short(&t.text, 24)).unwrap_or_default();
                format!("token “{text}” at position {position}")
            }
            Hit::Checkpoint(checkpoint) => checkpoint.to_string(),
        }
    }

    /// Tokens of either side, then checkpoints, that hold the text; large and small letters are the
    /// same unless a large one was typed.
    fn hits(&self, text: &str) -> Vec<Hit> {
        if text.is_empty() {
            return Vec::new();
        }
        let exact = text.chars().any(char::is_uppercase);
        let holds = |name: &str| {
            if exact { name.contains(text) } else { name.to_lowercase().contains(text) }
        };
        let tokens = self.snapshot.tokens.iter().filter(|token| {
            holds(&token.text) || token.candidate.as_ref().is_some_and(|(_, text)| holds(text))
        });
        let checkpoints = self.rows.checkpoints().iter().filter(|c| holds(&c.to_string()));
        let mut hits: Vec<Hit> = tokens.map(|t| Hit::Token(t.position)).collect();
        hits.extend(checkpoints.map(|&c| Hit::Checkpoint(c)));
        hits
    }
}
