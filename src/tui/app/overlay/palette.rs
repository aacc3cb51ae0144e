//! The palette: everything that has a name, found by a few of its letters.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Overlay;
use super::editor::Editor;
use super::typed::Typed;
use crate::text::safe_short;
use crate::tui::app::entry::Run;
use crate::tui::app::fuzzy::Fuzzy;
use crate::tui::app::{Action, App, Target};

/// What is listed at most; more letters are quicker than more lines.
const LISTED: usize = 200;
/// Lines that a page has.
const PAGE: usize = 8;

/// What is being looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Palette {
    /// The text.
    pub editor: Editor,
    /// Which of the found ones is chosen.
    pub chosen: usize,
    /// How many there are, with those that are not listed.
    pub count: usize,
    items: Arc<[Item]>,
    /// Which of the items, and which characters of their names fit.
    found: Vec<(usize, Vec<u32>)>,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// Something to do.
    Command,
    /// A checkpoint to go to.
    Checkpoint,
    /// A position to go to.
    Position,
}

/// One thing with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub help: String,
    /// The keys that do the same.
    pub keys: String,
    does: Does,
}

#[derive(Clone, Debug, PartialEq)]
enum Does {
    Act(Action),
    /// The command line asks for the rest.
    Ask(String),
}

impl Palette {
    /// What fits best, best first, with the characters of the name that fit.
    pub fn found(&self) -> impl ExactSizeIterator<Item = (&Item, &[u32])> {
        self.found.iter().map(|(i, places)| (&self.items[*i], &places[..]))
    }

    fn rank(&mut self) {
        self.chosen = 0;
        let typed = self.editor.text().trim();
        if typed.is_empty() {
            self.count = self.items.len();
            self.found = (0..self.items.len().min(LISTED)).map(|i| (i, Vec::new())).collect();
            return;
        }
        let mut fuzzy = Fuzzy::new(typed);
        let mut found: Vec<_> = self
            .items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| {
                // What a command is good for says less than its name.
                let score = fuzzy.score(&item.name).map(|score| score * 3);
                let score = score.or_else(|| fuzzy.score(&item.help))?;
                Some((Reverse(score), item.kind, item.name.chars().count(), i))
            })
            .collect();
        found.sort_unstable();
        self.count = found.len();
        let listed = found.into_iter().take(LISTED);
        self.found = listed.map(|(.., i)| (i, fuzzy.places(&self.items[i].name))).collect();
    }
}

impl App {
    pub(in crate::tui::app) fn open_palette(&mut self) {
        let items = self.items().into();
        let mut palette =
            Palette { editor: Editor::default(), chosen: 0, count: 0, items, found: Vec::new() };
        palette.rank();
        self.overlay = Overlay::Palette(palette);
    }

    pub(super) fn type_palette(&mut self, mut palette: Palette, typed: &Typed) {
        let last = palette.found.len().saturating_sub(1);
        match typed {
            Typed::Up | Typed::Previous => {
                palette.chosen = palette.chosen.checked_sub(1).unwrap_or(last);
            }
            Typed::Down | Typed::Next => {
                palette.chosen = if palette.chosen < last { palette.chosen + 1 } else { 0 };
            }
            Typed::PageUp => palette.chosen = palette.chosen.saturating_sub(PAGE),
            Typed::PageDown => palette.chosen = (palette.chosen + PAGE).min(last),
            Typed::Enter => return self.pick(&palette, palette.chosen),
            Typed::Pick(index) => return self.pick(&palette, *index),
            Typed::Backspace if palette.editor.text().is_empty() => return,
            typed => {
                if palette.editor.edit(typed) {
                    palette.rank();
                }
            }
        }
        self.overlay = Overlay::Palette(palette);
    }

    fn pick(&mut self, palette: &Palette, index: usize) {
        let Some((item, _)) = palette.found().nth(index) else {
            return self.tell("nothing has a name like that", false);
        };
        match item.does.clone() {
            Does::Act(action) => self.act(action),
            Does::Ask(text) => self.ask(&text),
        }
    }

    fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = self
            .commands
            .iter()
            // The palette is open, and every view has a row of its own.
            .filter(|entry| entry.name != "palette" && entry.name != "view")
            .map(|entry| Item {
                kind: ItemKind::Command,
                name: entry.usage(),
                help: entry.help.to_string(),
                keys: entry.keys.clone(),
                does: match &entry.run {
                    Run::Do(action) => Does::Act(action.clone()),
                    Run::Read { .. } => Does::Ask(format!("{} ", entry.name)),
                },
            })
            .collect();
        items.sort_by_key(|item| !item.name.starts_with("view "));
        let go = |kind, name, help: &str, target| Item {
            kind,
            name,
            help: help.to_owned(),
            keys: String::new(),
            does: Does::Act(Action::Jump(target)),
        };
        items.extend(self.rows.checkpoints().iter().map(|&checkpoint| {
            let target = Target { checkpoint: Some(checkpoint), ..Target::default() };
            go(ItemKind::Checkpoint, checkpoint.to_string(), "", target)
        }));
        items.extend(self.axis.iter().map(|&slot| {
            let text = self.token(slot).map(|t| safe_short(&t.text, 24)).unwrap_or_default();
            let target = Target { position: Some(slot.position), ..Target::default() };
            go(ItemKind::Position, format!("position {} “{text}”", slot.position), "", target)
        }));
        items
    }
}
