//! Footer: hints from the table of keys, or the newest message. Every hint can be clicked.
//!
//! ```text
//! ▸ f first divergence · Enter looks in │ ←→ position  ↑↓ row  s step …  ? help  q quit
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Context, put, span};
use crate::tui::app::Action;
use crate::tui::hints;
use crate::tui::theme::Role;

/// One hint: its keys, a word, and what a click on it does.
struct Hint {
    keys: String,
    word: String,
    action: Option<Action>,
    /// Suggested now, or always there.
    now: bool,
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    if let Some(message) = app.message() {
        let role = if message.is_error { Role::Bad } else { Role::Accent };
        let line = Line::from(vec![
            Span::styled(if message.is_error { " ! " } else { " › " }, theme.bar(role)),
            Span::raw(" "),
            span(&message.text, theme.bold(role)),
        ]);
        put(buf, area, 0, &line);
        return;
    }
    let hints = hints(context, area.width);
    let mut spans = vec![Span::raw(" ")];
    for (i, hint) in hints.iter().enumerate() {
        let (keys, word) = if hint.now { (Role::Caution, Role::Text) } else { (Role::Accent, Role::Dim) };
        spans.push(span(&hint.keys, theme.bold(keys)));
        let ends = hint.now && hints.get(i + 1).is_some_and(|next| !next.now);
        let gap = if ends { "" } else { "  " };
        spans.push(span(&format!(" {}{gap}", hint.word), theme.style(word)));
        if ends {
            spans.push(Span::styled("│ ", theme.style(Role::Line)));
        }
    }
    put(buf, area, 0, &Line::from(spans));
}

/// What a click at column `x` does.
pub fn hit(context: Context<'_>, area: Rect, x: u16) -> Option<Action> {
    if context.app.message().is_some() {
        return None;
    }
    let mut left = area.x as usize + 1;
    for hint in hints(context, area.width) {
        let width = hint.width();
        let inside = (x as usize).checked_sub(left).filter(|&at| at < width);
        if let Some(at) = inside {
            return hint.action_at(context, at);
        }
        left += width + 2;
    }
    None
}

impl Hint {
    fn width(&self) -> usize {
        self.keys.width() + 1 + self.word.width()
    }

    /// Of two keys that stand together, each is its own.
    fn action_at(self, context: Context<'_>, at: usize) -> Option<Action> {
        let bindings = context.keymap.bindings();
        let place = context.app.place();
        let bound = |key: &str| {
            let mut here = bindings.iter().filter(|b| b.scope.includes(place));
            here.find(|b| b.keys.iter().any(|k| k.to_string() == key)).map(|b| b.action.clone())
        };
        let single = self.keys.chars().nth(at).map(String::from).filter(|_| self.keys.chars().count() == 2);
        single.and_then(|key| bound(&key)).or_else(|| bound(&self.keys)).or(self.action)
    }
}

/// What is suggested now, then the table's own, as far as there is room.
fn hints(context: Context<'_>, width: u16) -> Vec<Hint> {
    let width = (width as usize).saturating_sub(1);
    let mut shown: Vec<Hint> = Vec::new();
    let mut used = 0;
    for (binding, word) in hints::now(context.app, context.keymap) {
        let Some(key) = binding.keys.first() else { continue };
        let hint = Hint {
            keys: key.to_string(),
            word: word.to_owned(),
            action: Some(binding.action.clone()),
            now: true,
        };
        // Half of the line at most: the way to the help stays.
        if used + hint.width() + 2 <= width / 2 {
            used += hint.width() + 2;
            shown.push(hint);
        }
    }
    let always = context.keymap.footer(context.app.place(), width - used.min(width));
    for (keys, word) in always {
        let hint = Hint { keys: keys.into_owned(), word: word.to_owned(), action: None, now: false };
        if !shown.iter().any(|other| other.now && other.keys == hint.keys) {
            shown.push(hint);
        }
    }
    shown
}
