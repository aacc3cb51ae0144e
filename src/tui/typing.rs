//! Keys of the terminal as what a prompt takes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::Typed;

/// What a key means in a prompt, if it means anything there.
pub fn typed(event: KeyEvent) -> Option<Typed> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    Some(match event.code {
        // AltGr comes as both on some terminals, and makes a character.
        KeyCode::Char(c) if control == alt => Typed::Char(c),
        KeyCode::Char('a') if control => Typed::Home,
        KeyCode::Char('e') if control => Typed::End,
        KeyCode::Char('b') if control => Typed::Left,
        KeyCode::Char('f') if control => Typed::Right,
        KeyCode::Char('b') => Typed::WordLeft,
        KeyCode::Char('f') => Typed::WordRight,
        KeyCode::Char('w') if control => Typed::DeleteWord,
        KeyCode::Char('u') if control => Typed::DeleteToStart,
        KeyCode::Char('k') if control => Typed::DeleteToEnd,
        KeyCode::Char('h') if control => Typed::Backspace,
        KeyCode::Char('d') if control => Typed::Delete,
        KeyCode::Char('p') if control => Typed::Up,
        KeyCode::Char('n') if control => Typed::Down,
        KeyCode::Left if control || alt => Typed::WordLeft,
        KeyCode::Right if control || alt => Typed::WordRight,
        KeyCode::Left => Typed::Left,
        KeyCode::Right => Typed::Right,
        KeyCode::Home => Typed::Home,
        KeyCode::End => Typed::End,
        KeyCode::Backspace if control || alt => Typed::DeleteWord,
        KeyCode::Backspace => Typed::Backspace,
        KeyCode::Delete => Typed::Delete,
        KeyCode::Tab => Typed::Next,
        KeyCode::BackTab => Typed::Previous,
        KeyCode::Up => Typed::Up,
        KeyCode::Down => Typed::Down,
        KeyCode::PageUp => Typed::PageUp,
        KeyCode::PageDown => Typed::PageDown,
        KeyCode::Enter => Typed::Enter,
        KeyCode::Esc => Typed::Esc,
        _ => return None,
    })
}
