//! The one table of keys. Matching, footer, help page, command names and the README's section all come
//! from it.

use std::borrow::Cow;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

use super::app::{Action, Place};
use super::key::Key;
use super::kinds::PaneKind;
use super::typing::typed;
use super::views::View;
use crate::text::safe_short;

/// Chapters of the help page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// The views.
    Views,
    /// The cursor.
    Moving,
    /// What is looked at.
    Looking,
    /// The engines.
    Stepping,
    /// Everything else.
    Program,
}

impl Chapter {
    /// In the order of the page.
    pub const ALL: [Self; 5] = [Self::Views, Self::Moving, Self::Looking, Self::Stepping, Self::Program];

    /// Heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Views => "Views",
            Self::Moving => "Moving the cursor",
            Self::Looking => "Looking closer",
            Self::Stepping => "Stepping the engines",
            Self::Program => "The program",
        }
    }
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every view and on the help page.
    Everywhere,
    /// In every view.
    Views,
    /// In the views with a map of positions.
    Maps,
    /// In the views that point at a channel.
    Channels,
    /// In the views that rank tokens.
    Rankings,
}

impl Scope {
    /// Whether it holds there.
    pub fn includes(self, place: Place) -> bool {
        let Place::View(view) = place else { return self == Self::Everywhere };
        match self {
            Self::Everywhere | Self::Views => true,
            Self::Maps => view.panes().contains(&PaneKind::Map),
            Self::Channels => view.info().shows.channel,
            Self::Rankings => view.panes().contains(&PaneKind::Ranking),
        }
    }

    /// Whether there is a place where both hold.
    fn meets(self, other: Self) -> bool {
        let places = View::ALL.iter().map(|&view| Place::View(view)).chain([Place::Help]);
        places.into_iter().any(|place| self.includes(place) && other.includes(place))
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Name in the command line, the palette and files of settings: `next-divergence`.
    pub name: Cow<'static, str>,
    /// Keys that do the same.
    pub keys: Vec<Key>,
    /// What they do.
    pub action: Action,
    /// Where they do it.
    pub scope: Scope,
    /// Where the help page lists them.
    pub chapter: Chapter,
    /// Footer: keys and a word, for the bindings worth showing there.
    pub footer: Option<(&'static str, &'static str)>,
    /// A sentence.
    pub help: Cow<'static, str>,
    /// Whether the keys are the user's own.
    pub rebound: bool,
}

/// Why keys cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// There is no such action.
    #[error("nothing is called `{name}`{}", .like.as_ref().map(|l| format!("; did you mean `{l}`?")).unwrap_or_default())]
    UnknownName {
        /// What was written.
        name: String,
        /// A name like it.
        like: Option<String>,
    },
    /// Two actions want the same key at the same place.
    #[error("`{key}` is given to `{first}` and to `{second}`")]
    Twice {
        /// The key.
        key: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Ctrl-C must stay what it is.
    #[error("`Ctrl-C` always quits and cannot be given to `{0}`")]
    Reserved(String),
}

macro_rules! bindings {
    ($($chapter:ident, $name:literal, $action:ident, $scope:ident, [$($key:expr),*], $footer:expr, $help:literal;)*) => {
        fn table() -> Vec<Binding> {
            vec![$(Binding {
                name: Cow::Borrowed($name),
                keys: vec![$($key),*],
                action: Action::$action,
                scope: Scope::$scope,
                chapter: Chapter::$chapter,
                footer: $footer,
                help: Cow::Borrowed($help),
                rebound: false,
            }),*]
        }
    };
}

// Of two rows with a footer the upper one goes first; help and quit are always shown.
bindings! {
    Moving, "left", Left, Views, [Key::plain(KeyCode::Left), Key::char('h')], Some(("←→", "position")), "one position back";
    Moving, "right", Right, Views, [Key::plain(KeyCode::Right), Key::char('l')], None, "one position on";
    Moving, "up", Up, Everywhere, [Key::plain(KeyCode::Up), Key::char('k')], Some(("↑↓", "row")), "one row up, towards the logits (a focused pane of text scrolls)";
    Moving, "down", Down, Everywhere, [Key::plain(KeyCode::Down), Key::char('j')], None, "one row down, towards the embedding";
    Looking, "drill", Drill, Views, [Key::plain(KeyCode::Enter)], Some(("Enter", "drill")), "from the layers to one layer's checkpoints, from there to one tensor";
    Looking, "back", Leave, Everywhere, [Key::plain(KeyCode::Esc)], Some(("Esc", "back")), "out again; closes the help";
    Moving, "next-divergence", NextDivergence, Views, [Key::char('n')], Some(("n", "divergence")), "the next place where an error enters";
    Moving, "previous-divergence", PreviousDivergence, Views, [Key::char('N')], None, "the previous place where an error enters";
    Stepping, "step", Step, Views, [Key::char('s')], Some(("s", "step")), "compute one more position";
    Stepping, "run", ToggleRun, Views, [Key::char('r')], Some(("r", "run")), "run, or pause when running";
    Moving, "first-divergence", FirstDivergence, Views, [Key::char('f')], Some(("f", "first")), "the first divergence";
    Stepping, "pause", Pause, Views, [Key::char(' ')], None, "pause";
    Stepping, "restart", Restart, Views, [Key::char('R')], None, "start an engine or program that failed anew";
    Stepping, "step-back", StepBack, Views, [Key::char('b')], Some(("b", "back one")), "back one position: the engines forget their newest";
    Stepping, "run-to-cursor", RunToCursor, Views, [Key::char('c')], None, "run to the cursor's position";
    Stepping, "run-until", AskUntil, Views, [Key::char('u')], None, "run until something happens: divergence, NaN, a token …";
    Stepping, "breakpoint", ToggleBreakpoint, Views, [Key::char('B')], None, "set a breakpoint at the cursor's position, or clear it";
    Stepping, "breakpoints", ListBreakpoints, Views, [], None, "list the breakpoints";
    Stepping, "what-if-graft", WhatIfGraft, Views, [Key::char('i')], None, "what if the cursor's cell were right? It takes the reference's values";
    Moving, "far-left", FarLeft, Views, [Key::char('H'), Key::shift(KeyCode::Left)], None, "ten positions back";
    Moving, "far-right", FarRight, Views, [Key::char('L'), Key::shift(KeyCode::Right)], None, "ten positions on";
    Moving, "first-position", First, Everywhere, [Key::char('g'), Key::plain(KeyCode::Home)], None, "the first position";
    Moving, "last-position", Last, Views, [Key::char('G'), Key::plain(KeyCode::End)], None, "the last position";
    Moving, "page-up", PageUp, Everywhere, [Key::plain(KeyCode::PageUp), Key::ctrl('u')], None, "eight rows up";
    Moving, "page-down", PageDown, Everywhere, [Key::plain(KeyCode::PageDown), Key::ctrl('d')], None, "eight rows down";
    Moving, "follow", Follow, Views, [Key::char('F')], None, "stay at the newest position, or stop doing so";
    Moving, "history-back", HistoryBack, Views, [Key::char('<'), Key::plain(KeyCode::Backspace)], None, "where the cursor was before the last jump";
    Moving, "history-forward", HistoryForward, Views, [Key::char('>')], None, "the other way";
    Moving, "search", OpenSearch, Views, [Key::char('/')], Some(("/", "search")), "search tokens and checkpoints";
    Moving, "next-hit", NextHit, Views, [Key::char(';')], None, "the next thing that was searched for";
    Moving, "previous-hit", PreviousHit, Views, [Key::char(',')], None, "the one before";
    Moving, "mark", AskBookmark, Views, [Key::char('m')], None, "mark the place under the cursor with a letter";
    Moving, "go-to-mark", AskWhichBookmark, Views, [Key::char('\'')], None, "go to a marked place";
    Looking, "channel-back", ChannelBack, Channels, [Key::char('[')], Some(("[]", "channel")), "the channel before";
    Looking, "channel-on", ChannelOn, Channels, [Key::char(']')], None, "the next channel";
    Looking, "worst-channel", WorstChannel, Channels, [Key::char('w')], Some(("w", "worst")), "the channel with the largest difference";
    Looking, "fit", Fit, Maps, [Key::char('z')], None, "the whole map at once, or one column a position";
    Looking, "diagnose", Diagnose, Views, [Key::char('D')], Some(("D", "diagnose")), "diagnose: which operation is wrong, what kind of mistake, whose; again calls it off, or makes it anew";
    Looking, "evidence", Evidence, Views, [Key::char('v')], None, "to the cell that the verdict or the diagnosis speaks of; again: the next faulty operation";
    Looking, "order", Order, Rankings, [Key::char('o')], Some(("o", "order")), "order the tokens by reference, by candidate, by difference";
    Looking, "next-pane", FocusNext, Views, [Key::plain(KeyCode::Tab)], Some(("Tab", "pane")), "focus the next pane; a pane without room of its own takes another's";
    Looking, "previous-pane", FocusPrevious, Views, [Key::plain(KeyCode::BackTab)], None, "focus the pane before";
    Program, "command", OpenCommandLine, Views, [Key::char(':')], Some((":", "command")), "the command line";
    Program, "palette", OpenPalette, Views, [Key::char('p'), Key::ctrl('p')], Some(("p", "palette")), "everything by name: commands, views, checkpoints, positions";
    Program, "export-pane", ExportPane, Views, [Key::char('e')], Some(("e", "export")), "export the focused pane: PNG, SVG, text with colours, CSV, NPZ";
    Program, "export-screen", ExportScreen, Views, [Key::char('E')], None, "export the screen: PNG, SVG, text with colours, CSV, NPZ";
    Program, "redraw", Redraw, Everywhere, [Key::ctrl('l')], None, "draw everything anew";
    Program, "suspend", Suspend, Everywhere, [Key::ctrl('z')], None, "suspend; `fg` resumes";
    Program, "help", Help, Everywhere, [Key::char('?')], Some(("?", "help")), "open or close the help";
    Program, "quit", Quit, Everywhere, [Key::char('q'), Key::ctrl('c')], Some(("q", "quit")), "quit";
}

/// Every binding: the standard ones, or those with the user's changes.
#[derive(Clone, Debug)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        let mut bindings = table();
        let views = View::ALL.iter().zip(('1'..='9').chain(['0'])).map(|(&view, digit)| Binding {
            name: Cow::Owned(format!("view {}", view.info().id)),
            keys: vec![Key::char(digit)],
            action: Action::Look(view),
            scope: Scope::Views,
            chapter: Chapter::Views,
            footer: None,
            help: Cow::Owned(format!("{}: {}", view.info().title, view.info().about)),
            rebound: false,
        });
        bindings.splice(0..0, views);
        Self { bindings }
    }
}

impl Keymap {
    /// Every row.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Gives actions the user's keys in place of their own; other actions lose those keys.
    ///
    /// # Errors
    /// An unknown name, a key given twice, or Ctrl-C given to anything but `quit`.
    pub fn rebind(&mut self, changes: &[(String, Vec<Key>)]) -> Result<(), KeymapError> {
        for (name, keys) in changes {
            let Some(at) = self.bindings.iter().position(|b| b.name == *name) else {
                return Err(KeymapError::UnknownName { name: safe_short(name, 40), like: self.like(name) });
            };
            let binding = &mut self.bindings[at];
            if keys.contains(&Key::ctrl('c')) && binding.action != Action::Quit {
                return Err(KeymapError::Reserved(binding.name.to_string()));
            }
            binding.keys.clone_from(keys);
            binding.rebound = true;
            if binding.action == Action::Quit && !binding.keys.contains(&Key::ctrl('c')) {
                binding.keys.push(Key::ctrl('c'));
            }
            let (scope, name) = (binding.scope, binding.name.to_string());
            for (i, other) in self.bindings.iter_mut().enumerate() {
                if i == at || !other.scope.meets(scope) {
                    continue;
                }
                let shared = keys.iter().find(|key| other.keys.contains(key));
                match shared {
                    Some(key) if other.rebound => {
                        let (key, first, second) = (key.to_string(), other.name.to_string(), name);
                        return Err(KeymapError::Twice { key, first, second });
                    }
                    Some(_) => other.keys.retain(|key| !keys.contains(key)),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// The name that `name` was probably meant to be.
    fn like(&self, name: &str) -> Option<String> {
        let close = |known: &str| strsim::jaro_winkler(known, name);
        let best =
            self.bindings.iter().map(|b| (&b.name, close(&b.name))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 > 0.75).then(|| best.0.to_string())
    }

    /// The action that `event` is bound to at this place.
    pub fn action(&self, event: KeyEvent, place: Place) -> Option<Action> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let key = Key::from_event(event);
        // Whatever else is bound, and whatever is open: there is a way out.
        if key == Key::ctrl('c') {
            return Some(Action::Quit);
        }
        if place == Place::Prompt {
            return typed(event).map(Action::Type).or_else(|| self.control(key));
        }
        self.bindings
            .iter()
            .find(|binding| binding.scope.includes(place) && binding.keys.contains(&key))
            .map(|binding| binding.action.clone())
    }

    /// What works in a prompt too: keys that are no text.
    fn control(&self, key: Key) -> Option<Action> {
        let bound = self.bindings.iter().find(|b| b.scope == Scope::Everywhere && b.keys.contains(&key));
        bound.map(|binding| binding.action.clone())
    }

    /// The footer of a place, as many hints as fit in `width` columns; keys and words in turn. The
    /// last two rows of the table always have their place.
    pub fn footer(&self, place: Place, width: usize) -> Vec<(Cow<'static, str>, &'static str)> {
        let hints: Vec<_> = self
            .bindings
            .iter()
            .filter(|b| b.scope.includes(place))
            // There is no way back from the top.
            .filter(|b| b.action != Action::Leave || place != Place::View(View::Overview))
            .filter_map(Binding::hint)
            .collect();
        let cost = |hint: &(Cow<'_, str>, &str)| hint.0.chars().count() + hint.1.chars().count() + 3;
        let (first, last) = hints.split_at(hints.len().saturating_sub(2));
        let mut left = width.saturating_sub(last.iter().map(cost).sum());
        let mut shown: Vec<_> = first
            .iter()
            .filter(|hint| {
                let fits = cost(hint) <= left;
                left -= if fits { cost(hint) } else { 0 };
                fits
            })
            .cloned()
            .collect();
        shown.extend_from_slice(last);
        shown
    }

    /// The table as Markdown, for the README.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for chapter in Chapter::ALL {
            out.push_str("| ");
            out.push_str(chapter.title());
            out.push_str(" | |\n|---|---|\n");
            for binding in self.bindings.iter().filter(|b| b.chapter == chapter) {
                let mut keys: Vec<String> = binding.keys.iter().map(|k| format!("`{k}`")).collect();
                if keys.is_empty() {
                    keys.push(format!("`:{}`", binding.name));
                }
                let limits = binding.limits().map(|l| format!(" ({l})")).unwrap_or_default();
                let row = format!("| {} | {}{limits} |\n", keys.join(" "), binding.help);
                out.push_str(&row);
            }
            out.push('\n');
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

impl Binding {
    /// What the footer says: the user's own key where there is one.
    fn hint(&self) -> Option<(Cow<'static, str>, &'static str)> {
        let (keys, word) = self.footer?;
        // Another action may have taken all of its keys.
        let first = self.keys.first()?;
        Some((if self.rebound { Cow::Owned(first.to_string()) } else { Cow::Borrowed(keys) }, word))
    }

    /// `← h`.
    pub fn key_names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        names.join("  ")
    }

    /// Where it applies, if not everywhere: `with a channel`.
    pub fn limits(&self) -> Option<&'static str> {
        match self.scope {
            Scope::Everywhere | Scope::Views => None,
            Scope::Maps => Some("in a map"),
            Scope::Rankings => Some("where tokens are ranked"),
            Scope::Channels => Some("where a channel is shown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use crossterm::event::KeyModifiers;

    use super::*;

    const OVERVIEW: Place = Place::View(View::Overview);

    fn places() -> impl Iterator<Item = Place> {
        View::ALL.iter().map(|&view| Place::View(view)).chain([Place::Help])
    }

    #[test]
    fn no_key_is_bound_twice_at_a_place_and_no_name_is_used_twice() {
        let keymap = Keymap::default();
        let names: HashSet<&str> = keymap.bindings().iter().map(|b| &*b.name).collect();
        assert_eq!(names.len(), keymap.bindings().len());
        for place in places() {
            let mut seen = HashMap::new();
            for binding in keymap.bindings().iter().filter(|b| b.scope.includes(place)) {
                for key in &binding.keys {
                    let before = seen.insert(*key, &binding.name);
                    assert_eq!(before, None, "{key} at {place:?} is {} too", binding.name);
                }
            }
        }
    }

    #[test]
    fn every_key_has_a_name_and_every_place_its_way_out() {
        let keymap = Keymap::default();
        for key in keymap.bindings().iter().flat_map(|b| &b.keys) {
            assert!(*key == Key::char('?') || !key.to_string().contains('?'), "{key:?}");
        }
        for place in places() {
            assert_eq!(keymap.action(KeyCode::Char('q').into(), place), Some(Action::Quit));
            let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(keymap.action(interrupt, place), Some(Action::Quit));
            assert_eq!(keymap.action(KeyCode::Char('?').into(), place), Some(Action::Help));
        }
    }

    #[test]
    fn shift_is_part_of_a_letter() {
        let keymap = Keymap::default();
        let shifted = KeyEvent::new(KeyCode::Char('N'), KeyModifiers::SHIFT);
        assert_eq!(keymap.action(shifted, OVERVIEW), Some(Action::PreviousDivergence));
        assert_eq!(keymap.action(KeyCode::Char('N').into(), OVERVIEW), Some(Action::PreviousDivergence));
        let back_tab = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(keymap.action(back_tab, OVERVIEW), Some(Action::FocusPrevious));
        let mut release: KeyEvent = KeyCode::Char('q').into();
        release.kind = KeyEventKind::Release;
        assert_eq!(keymap.action(release, OVERVIEW), None);
        assert_eq!(keymap.action(KeyCode::Char('w').into(), OVERVIEW), None);
        assert_eq!(keymap.action(KeyCode::Char('2').into(), OVERVIEW), Some(Action::Look(View::ALL[1])));
    }

    #[test]
    fn the_footer_fits_and_keeps_help_and_quit() {
        let keymap = Keymap::default();
        for width in [20, 40, 80, 120, 300] {
            let hints = keymap.footer(OVERVIEW, width);
            let used: usize = hints.iter().map(|(k, w)| k.chars().count() + w.chars().count() + 3).sum();
            assert!(used <= width, "{width}: {used}");
            assert_eq!(hints[hints.len() - 2..], [("?".into(), "help"), ("q".into(), "quit")]);
        }
        assert!(keymap.footer(OVERVIEW, 79).len() >= 8);
    }

    #[test]
    fn keys_can_be_bound_anew_and_clashes_are_refused() {
        let mut keymap = Keymap::default();
        let change = |name: &str, keys: &[&str]| {
            (name.to_owned(), keys.iter().map(|k| k.parse().unwrap()).collect::<Vec<Key>>())
        };
        keymap.rebind(&[change("step", &["n", "F5"]), change("quit", &["Ctrl-Q"])]).unwrap();
        let at = |keymap: &Keymap, key: KeyCode| keymap.action(key.into(), OVERVIEW);
        assert_eq!(at(&keymap, KeyCode::Char('n')), Some(Action::Step));
        assert_eq!(at(&keymap, KeyCode::F(5)), Some(Action::Step));
        assert_eq!(at(&keymap, KeyCode::Char('s')), None);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(keymap.action(interrupt, OVERVIEW), Some(Action::Quit), "quitting is always possible");
        let footer = keymap.footer(OVERVIEW, 200);
        assert!(footer.contains(&("n".into(), "step")) && !footer.iter().any(|(_, w)| *w == "divergence"));

        let refused =
            |changes: &[(String, Vec<Key>)]| Keymap::default().rebind(changes).unwrap_err().to_string();
        assert_eq!(refused(&[change("stpe", &["x"])]), "nothing is called `stpe`; did you mean `step`?");
        assert_eq!(
            refused(&[change("step", &["x"]), change("run", &["x"])]),
            "`x` is given to `step` and to `run`"
        );
        assert!(refused(&[change("step", &["Ctrl-C"])]).contains("always quits"));
    }

    #[test]
    fn markdown_lists_every_binding() {
        let keymap = Keymap::default();
        let table = keymap.markdown();
        for binding in keymap.bindings() {
            assert!(table.contains(&*binding.help), "{}", binding.help);
        }
        assert_eq!(table.lines().filter(|l| l.starts_with("|---")).count(), Chapter::ALL.len());
    }
}
