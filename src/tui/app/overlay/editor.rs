//! A line of text with a cursor.

use super::typed::Typed;
use crate::text::safe;

/// Characters that a line takes; more are dropped.
const LONGEST: usize = 400;

/// A line that is being typed. It holds nothing that could not be shown as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Editor {
    text: String,
    /// The cursor, as a place in the text's bytes; always between two characters.
    at: usize,
}

impl Editor {
    /// A line that begins as `text`, with the cursor at its end.
    pub fn new(text: &str) -> Self {
        let mut editor = Self::default();
        editor.insert(text);
        editor
    }

    /// The line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is before the cursor and what is behind it.
    pub fn halves(&self) -> (&str, &str) {
        self.text.split_at(self.at)
    }

    /// Takes another text, with the cursor at its end.
    pub fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Replaces what is between `from` (in bytes) and the cursor.
    pub fn complete(&mut self, from: usize, with: &str) {
        if from <= self.at && self.text.is_char_boundary(from) {
            self.text.replace_range(from..self.at, "");
            self.at = from;
            self.insert(with);
        }
    }

    /// Does what the key says, if it is one for editing. Says whether the text was changed.
    pub fn edit(&mut self, typed: &Typed) -> bool {
        let before = self.text.len();
        match typed {
            Typed::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Typed::Paste(text) => self.insert(text),
            Typed::Backspace => self.delete_to(self.left()),
            Typed::Delete => {
                let end = self.right();
                self.text.replace_range(self.at..end, "");
            }
            Typed::DeleteWord => self.delete_to(self.word_left()),
            Typed::DeleteToStart => self.delete_to(0),
            Typed::DeleteToEnd => self.text.truncate(self.at),
            Typed::Left => self.at = self.left(),
            Typed::Right => self.at = self.right(),
            Typed::WordLeft => self.at = self.word_left(),
            Typed::WordRight => self.at = self.word_right(),
            Typed::Home => self.at = 0,
            Typed::End => self.at = self.text.len(),
            _ => {}
        }
        self.text.len() != before
    }

    /// Line breaks and tabs become spaces, what has no look of its own is left out.
    fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.chars().count());
        let shown: String = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|&c| safe(c.encode_utf8(&mut [0; 4])).chars().eq([c]))
            .take(room)
            .collect();
        self.text.insert_str(self.at, &shown);
        self.at += shown.len();
    }

    fn delete_to(&mut self, start: usize) {
        self.text.replace_range(start..self.at, "");
        self.at = start;
    }

    fn left(&self) -> usize {
        self.halves().0.char_indices().next_back().map_or(0, |(i, _)| i)
    }

    fn right(&self) -> usize {
        self.at + self.halves().1.chars().next().map_or(0, char::len_utf8)
    }

    fn word_left(&self) -> usize {
        let before = self.halves().0.trim_end();
        before.rfind(char::is_whitespace).map_or(0, |i| i + 1)
    }

    fn word_right(&self) -> usize {
        let after = self.halves().1;
        let word = after.len() - after.trim_start().len();
        after[word..].find(char::is_whitespace).map_or(self.text.len(), |i| self.at + word + i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Typed]) -> Editor {
        let mut editor = Editor::new("goto ünd 12");
        for key in keys {
            editor.edit(key);
        }
        editor
    }

    #[test]
    fn keys_edit_where_the_cursor_is() {
        use Typed::*;
        for (keys, halves) in [
            (vec![Left, Char('x')], ("goto ünd 1x", "2")),
            (vec![Home, Delete, Right], ("o", "to ünd 12")),
            (vec![DeleteWord], ("goto ünd ", "")),
            (vec![DeleteWord, DeleteWord], ("goto ", "")),
            (vec![WordLeft, WordLeft, Delete], ("goto ", "nd 12")),
            (vec![WordLeft, DeleteToStart], ("", "12")),
            (vec![Home, WordRight, DeleteToEnd], ("goto", "")),
            (vec![Home, WordRight, WordRight, Backspace], ("goto ün", " 12")),
            (vec![Home, Left, Backspace], ("", "goto ünd 12")),
            (vec![End, Right, Delete], ("goto ünd 12", "")),
            (vec![Paste("a\r\nb\u{1b}[2J\u{202e}\tc".into())], ("goto ünd 12a  b[2J c", "")),
        ] {
            assert_eq!(typed(&keys).halves(), halves, "{keys:?}");
        }
    }

    #[test]
    fn a_line_takes_no_more_than_it_can_show() {
        let editor = typed(&[Typed::Paste("é".repeat(100_000)), Typed::Char('x')]);
        assert_eq!(editor.text().chars().count(), LONGEST);
    }
}
