//! The next useful keys, for the first minutes: by what the session has come to and what was not
//! used yet. A hint goes away once its key was used.

use super::app::App;
use super::keymap::{Binding, Keymap};
use super::views::View;
use crate::compare::Verdict;
use crate::session::RunState;

/// Hints that are shown at once.
const SHOWN: usize = 3;

/// When a binding is worth suggesting, with a word for it.
struct Hint {
    /// The binding's name.
    name: &'static str,
    word: &'static str,
    when: fn(&App) -> bool,
}

/// The most useful first.
const HINTS: &[Hint] = &[
    Hint { name: "pause", word: "pause", when: |app| app.snapshot().run == RunState::Running },
    Hint { name: "first-divergence", word: "first divergence", when: |app| diverged(app) && !at_first(app) },
    Hint { name: "drill", word: "looks in", when: |app| diverged(app) && app.view() == View::Overview },
    Hint { name: "diagnose", word: "diagnose", when: diverged },
    Hint {
        name: "what-if-graft",
        word: "what if this were right?",
        when: |app| at_first(app) && driven(app),
    },
    Hint { name: "next-divergence", word: "next divergence", when: diverged },
    Hint { name: "step", word: "step", when: |app| app.snapshot().run == RunState::Paused },
    Hint { name: "run", word: "run", when: |app| app.snapshot().run == RunState::Paused },
    Hint { name: "run-until", word: "run until …", when: |app| app.snapshot().run == RunState::Paused },
    Hint { name: "search", word: "search", when: |app| !app.axis().is_empty() },
    Hint { name: "palette", word: "everything by name", when: |_| true },
    Hint { name: "export-pane", word: "saves a picture", when: |app| !app.axis().is_empty() },
];

fn diverged(app: &App) -> bool {
    matches!(&*app.snapshot().verdict, Verdict::Diverged { .. })
}

fn at_first(app: &App) -> bool {
    let cursor = app.cursor();
    app.first() == Some((cursor.position, cursor.checkpoint))
}

fn driven(app: &App) -> bool {
    app.snapshot().run != RunState::Static
}

/// What to suggest now: bindings, each with a word.
pub fn now<'a>(app: &App, keymap: &'a Keymap) -> Vec<(&'a Binding, &'static str)> {
    if !app.hints() {
        return Vec::new();
    }
    HINTS
        .iter()
        .filter(|hint| (hint.when)(app))
        .filter_map(|hint| {
            let binding = keymap.bindings().iter().find(|b| b.name == hint.name && !b.keys.is_empty())?;
            let here = binding.scope.includes(app.place());
            (here && !app.has_used(&binding.action)).then_some((binding, hint.word))
        })
        .take(SHOWN)
        .collect()
}
