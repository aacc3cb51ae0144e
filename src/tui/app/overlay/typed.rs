//! What is typed into a prompt.

/// One key, or a pasted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A character.
    Char(char),
    /// A pasted text.
    Paste(String),
    /// Takes the character before the cursor away.
    Backspace,
    /// Takes the character at the cursor away.
    Delete,
    /// Takes the word before the cursor away.
    DeleteWord,
    /// Takes everything before the cursor away.
    DeleteToStart,
    /// Takes everything from the cursor on away.
    DeleteToEnd,
    /// One character back.
    Left,
    /// One character on.
    Right,
    /// One word back.
    WordLeft,
    /// One word on.
    WordRight,
    /// To the start.
    Home,
    /// To the end.
    End,
    /// The next completion.
    Next,
    /// The completion before.
    Previous,
    /// The line before, or the choice above.
    Up,
    /// The next line, or the choice below.
    Down,
    /// Several choices up.
    PageUp,
    /// Several choices down.
    PageDown,
    /// Done.
    Enter,
    /// Never mind.
    Esc,
    /// The mouse chose the n-th of what is listed.
    Pick(usize),
}
