//! The one table of what can be asked for by name: every binding of the table of keys, and what
//! takes an argument. The command line, its completion, the palette, the help page and the README
//! come from it.

mod places;
mod screen;
mod stepping;

use std::borrow::Cow;
use std::sync::Arc;

use super::app::entry::{Complete, Entry, Read, Run};
use super::keymap::Keymap;

/// One row of the table: something that takes an argument.
#[derive(Debug)]
pub struct CommandInfo {
    /// Its name.
    pub name: &'static str,
    /// What follows: `N`; in brackets where it may be left out.
    pub form: &'static str,
    /// A sentence.
    pub help: &'static str,
    /// Every argument that makes sense now.
    pub complete: Complete,
    /// What an argument means.
    pub read: Read,
}

macro_rules! commands {
    ($($name:literal, $form:literal, $help:literal, $file:ident :: $complete:ident, $read:ident;)*) => {
        /// What takes an argument.
        pub static COMMANDS: &[CommandInfo] = &[$(CommandInfo {
            name: $name,
            form: $form,
            help: $help,
            complete: $file::$complete,
            read: $file::$read,
        }),*];
    };
}

commands! {
    "view", "NAME", "another view", screen::views, view;
    "goto", "N", "position N", places::positions, goto;
    "checkpoint", "NAME", "a checkpoint at the cursor's position", places::checkpoints, checkpoint;
    "layer", "N", "the same checkpoint in layer N", places::layers, layer;
    "channel", "N", "channel N of the tensor under the cursor", places::nothing, channel;
    "mark", "LETTER", "mark the place under the cursor", places::bookmarks, mark;
    "go-to-mark", "LETTER", "where a mark was set", places::bookmarks, go_to_mark;
    "until", "CONDITION", "run until this is met, then pause", stepping::stops, until;
    "break", "[CONDITION]", "pause any run where this is met (alone: at the cursor)", stepping::stops, add_break;
    "delete", "N|all", "take the N-th breakpoint away, or all of them", stepping::breakpoints, delete;
    "speed", "N|max", "positions a second at most", stepping::speeds, speed;
    "feed", "reference|free", "the reference's tokens to both sides, or each side its own", stepping::feeds, feed;
    "what-if", "CHANGE", "compute the candidate anew with something changed", stepping::changes, what_if;
    "hints", "on|off", "suggestions of the next useful key", screen::switches, hints;
    "graphics", "[NAME]", "heatmaps in pixels: auto, kitty, iterm, sixel, none (alone: which are used)", screen::graphics_known, graphics;
}

/// Everything that can be asked for by name, with the keys that do the same.
pub fn table(keymap: &Keymap) -> Arc<[Entry]> {
    let with_arguments = COMMANDS.iter().map(|command| Entry {
        name: Cow::Borrowed(command.name),
        form: command.form,
        help: Cow::Borrowed(command.help),
        keys: String::new(),
        run: Run::Read { complete: command.complete, read: command.read },
    });
    let bound = keymap.bindings().iter().map(|binding| Entry {
        name: binding.name.clone(),
        form: "",
        help: binding.help.clone(),
        keys: binding.key_names(),
        run: Run::Do(binding.action.clone()),
    });
    // A key that asks for a letter is the row that takes one, on the command line.
    let mut table: Vec<Entry> = with_arguments.collect();
    for entry in bound {
        match table.iter_mut().find(|row| row.name == entry.name) {
            Some(row) => row.keys = entry.keys,
            None => table.push(entry),
        }
    }
    table.into()
}

/// What takes an argument, as Markdown, for the README.
pub fn markdown() -> String {
    let mut out = String::from("| Command | |\n|---|---|\n");
    for command in COMMANDS {
        let usage = format!("{} {}", command.name, command.form).replace('|', "\\|");
        let row = format!("| `:{usage}` | {} |\n", command.help);
        out.push_str(&row);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_one_of_a_kind_and_have_one_word_with_arguments() {
        let table = table(&Keymap::default());
        let names: HashSet<&str> = table.iter().map(|e| &*e.name).collect();
        assert_eq!(names.len(), table.len());
        assert!(COMMANDS.iter().all(|c| !c.name.contains(' ') && !c.form.is_empty()));
        for binding in Keymap::default().bindings() {
            assert!(names.contains(&*binding.name), "{}", binding.name);
        }
    }
}
