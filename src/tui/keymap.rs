//! The one table of keys. Matching, footer, help page and the README's section all come from it.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::{Action, View};

/// One key with its modifiers. Shift is part of the character for letters and signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Key {
    const fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), modifiers: KeyModifiers::CONTROL }
    }

    const fn shift(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::SHIFT }
    }

    fn from_event(event: KeyEvent) -> Self {
        let mut modifiers =
            event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers -= KeyModifiers::SHIFT;
        }
        Self { code: event.code, modifiers }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            f.write_str("Ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            f.write_str("Alt-")?;
        }
        if self.modifiers.contains(KeyModifiers::SHIFT) {
            f.write_str("Shift-")?;
        }
        let name = match self.code {
            KeyCode::Left => "←",
            KeyCode::Right => "→",
            KeyCode::Up => "↑",
            KeyCode::Down => "↓",
            KeyCode::PageUp => "PgUp",
            KeyCode::PageDown => "PgDn",
            KeyCode::Home => "Home",
            KeyCode::End => "End",
            KeyCode::Enter => "Enter",
            KeyCode::Esc => "Esc",
            KeyCode::Tab => "Tab",
            KeyCode::BackTab => "Shift-Tab",
            KeyCode::Backspace => "Backspace",
            KeyCode::Char(' ') => "Space",
            KeyCode::Char(c) if self.modifiers.contains(KeyModifiers::CONTROL) => {
                return write!(f, "{}", c.to_ascii_uppercase());
            }
            KeyCode::Char(c) => return write!(f, "{c}"),
            _ => "?",
        };
        f.write_str(name)
    }
}

/// Chapters of the help page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
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
    pub const ALL: [Self; 4] = [Self::Moving, Self::Looking, Self::Stepping, Self::Program];

    /// Heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Moving => "Moving the cursor",
            Self::Looking => "Looking closer",
            Self::Stepping => "Stepping the engines",
            Self::Program => "The program",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Binding {
    /// Keys that do the same.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// Where they do it.
    pub views: &'static [View],
    /// Where the help page lists them.
    pub chapter: Chapter,
    /// Footer: keys and a word, for the bindings worth showing there.
    pub footer: Option<(&'static str, &'static str)>,
    /// A sentence.
    pub help: &'static str,
}

const EVERYWHERE: &[View] = &[View::Overview, View::Layer, View::Tensor, View::Help];
const PANES: &[View] = &[View::Overview, View::Layer, View::Tensor];
const MAPS: &[View] = &[View::Overview, View::Layer];
const TENSOR: &[View] = &[View::Tensor];

macro_rules! bindings {
    ($($chapter:ident, $action:ident, $views:ident, [$($key:expr),+], $footer:expr, $help:literal;)*) => {
        /// Every binding.
        pub static BINDINGS: &[Binding] = &[$(Binding {
            keys: &[$($key),+],
            action: Action::$action,
            views: $views,
            chapter: Chapter::$chapter,
            footer: $footer,
            help: $help,
        }),*];
    };
}

// Of two rows with a footer the upper one goes first; help and quit are always shown.
bindings! {
    Moving, Left, PANES, [Key::plain(KeyCode::Left), Key::char('h')], Some(("←→", "position")), "one position back";
    Moving, Right, PANES, [Key::plain(KeyCode::Right), Key::char('l')], None, "one position on";
    Moving, Up, EVERYWHERE, [Key::plain(KeyCode::Up), Key::char('k')], Some(("↑↓", "row")), "one row up, towards the logits (a focused pane of text scrolls)";
    Moving, Down, EVERYWHERE, [Key::plain(KeyCode::Down), Key::char('j')], None, "one row down, towards the embedding";
    Looking, Drill, PANES, [Key::plain(KeyCode::Enter)], Some(("Enter", "drill")), "from the layers to one layer's checkpoints, from there to one tensor";
    Looking, Leave, EVERYWHERE, [Key::plain(KeyCode::Esc)], Some(("Esc", "back")), "out again; closes the help";
    Moving, NextDivergence, PANES, [Key::char('n')], Some(("n", "divergence")), "the next place where an error enters";
    Moving, PreviousDivergence, PANES, [Key::char('N')], None, "the previous place where an error enters";
    Stepping, Step, PANES, [Key::char('s')], Some(("s", "step")), "compute one more position";
    Stepping, ToggleRun, PANES, [Key::char('r')], Some(("r", "run")), "run, or pause when running";
    Moving, FirstDivergence, PANES, [Key::char('f')], Some(("f", "first")), "the first divergence";
    Stepping, Pause, PANES, [Key::char(' ')], None, "pause";
    Stepping, Restart, PANES, [Key::char('R')], None, "start an engine or program that failed anew";
    Stepping, StepBack, PANES, [Key::char('b')], Some(("b", "back one")), "back one position: the engines forget their newest";
    Moving, FarLeft, PANES, [Key::char('H'), Key::shift(KeyCode::Left)], None, "ten positions back";
    Moving, FarRight, PANES, [Key::char('L'), Key::shift(KeyCode::Right)], None, "ten positions on";
    Moving, First, EVERYWHERE, [Key::char('g'), Key::plain(KeyCode::Home)], None, "the first position";
    Moving, Last, PANES, [Key::char('G'), Key::plain(KeyCode::End)], None, "the last position";
    Moving, PageUp, EVERYWHERE, [Key::plain(KeyCode::PageUp), Key::ctrl('u')], None, "eight rows up";
    Moving, PageDown, EVERYWHERE, [Key::plain(KeyCode::PageDown), Key::ctrl('d')], None, "eight rows down";
    Moving, Follow, PANES, [Key::char('F')], None, "stay at the newest position, or stop doing so";
    Moving, HistoryBack, PANES, [Key::char('<'), Key::plain(KeyCode::Backspace)], None, "where the cursor was before the last jump";
    Moving, HistoryForward, PANES, [Key::char('>')], None, "the other way";
    Looking, ChannelBack, TENSOR, [Key::char('[')], Some(("[]", "channel")), "the channel before";
    Looking, ChannelOn, TENSOR, [Key::char(']')], None, "the next channel";
    Looking, WorstChannel, TENSOR, [Key::char('w')], Some(("w", "worst")), "the channel with the largest difference";
    Looking, Fit, MAPS, [Key::char('z')], None, "the whole map at once, or one column a position";
    Looking, FocusNext, PANES, [Key::plain(KeyCode::Tab)], Some(("Tab", "pane")), "focus the next pane; a pane without room of its own takes another's";
    Looking, FocusPrevious, PANES, [Key::plain(KeyCode::BackTab)], None, "focus the pane before";
    Program, ExportPane, PANES, [Key::char('e')], Some(("e", "export")), "export the focused pane as PNG, SVG and CSV";
    Program, ExportScreen, PANES, [Key::char('E')], None, "export the screen as PNG, SVG and CSV";
    Program, Redraw, EVERYWHERE, [Key::ctrl('l')], None, "draw everything anew";
    Program, Suspend, EVERYWHERE, [Key::ctrl('z')], None, "suspend; `fg` resumes";
    Program, Help, EVERYWHERE, [Key::char('?')], Some(("?", "help")), "open or close the help";
    Program, Quit, EVERYWHERE, [Key::char('q'), Key::ctrl('c')], Some(("q", "quit")), "quit";
}

/// The action that `event` is bound to in `view`.
pub fn action(event: KeyEvent, view: View) -> Option<Action> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let key = Key::from_event(event);
    BINDINGS
        .iter()
        .find(|binding| binding.views.contains(&view) && binding.keys.contains(&key))
        .map(|binding| binding.action)
}

/// The footer of `view`, as many hints as fit in `width` columns; keys and words in turn. The last
/// two rows of the table always have their place.
pub fn footer(view: View, width: usize) -> Vec<(&'static str, &'static str)> {
    let hints: Vec<_> = BINDINGS
        .iter()
        .filter(|b| b.views.contains(&view))
        // There is no way back from the top.
        .filter(|b| b.action != Action::Leave || view != View::Overview)
        .filter_map(|b| b.footer)
        .collect();
    let cost = |hint: &(&str, &str)| hint.0.chars().count() + hint.1.chars().count() + 3;
    let (first, last) = hints.split_at(hints.len().saturating_sub(2));
    let mut left = width.saturating_sub(last.iter().map(cost).sum());
    let mut shown: Vec<_> = first
        .iter()
        .take_while(|hint| {
            let fits = cost(hint) <= left;
            left = left.saturating_sub(cost(hint));
            fits
        })
        .copied()
        .collect();
    shown.extend(last);
    shown
}

impl Binding {
    /// `← h`.
    pub fn key_names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        names.join("  ")
    }

    /// Where it applies, if not everywhere: `in a tensor`.
    pub fn limits(&self) -> Option<&'static str> {
        if self.views == TENSOR {
            Some("in a tensor")
        } else if self.views == MAPS {
            Some("in a map")
        } else {
            None
        }
    }
}

/// The table as Markdown, for the README.
pub fn markdown() -> String {
    let mut out = String::new();
    for chapter in Chapter::ALL {
        out.push_str("| ");
        out.push_str(chapter.title());
        out.push_str(" | |\n|---|---|\n");
        for binding in BINDINGS.iter().filter(|b| b.chapter == chapter) {
            let keys: Vec<String> = binding.keys.iter().map(|k| format!("`{k}`")).collect();
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_key_is_bound_twice_in_a_view() {
        let mut seen = HashMap::new();
        for binding in BINDINGS {
            for view in binding.views {
                for key in binding.keys {
                    let before = seen.insert((*view, *key), binding.action);
                    assert_eq!(before, None, "{key} in {view:?} is {:?} too", binding.action);
                }
            }
        }
    }

    #[test]
    fn every_key_has_a_name_and_every_view_its_way_out() {
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(*key == Key::char('?') || !key.to_string().contains('?'), "{key:?}");
            }
        }
        for &view in EVERYWHERE {
            assert_eq!(action(KeyCode::Char('q').into(), view), Some(Action::Quit));
            let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(action(interrupt, view), Some(Action::Quit));
            assert_eq!(action(KeyCode::Char('?').into(), view), Some(Action::Help));
        }
    }

    #[test]
    fn shift_is_part_of_a_letter() {
        let shifted = KeyEvent::new(KeyCode::Char('N'), KeyModifiers::SHIFT);
        assert_eq!(action(shifted, View::Overview), Some(Action::PreviousDivergence));
        assert_eq!(action(KeyCode::Char('N').into(), View::Overview), Some(Action::PreviousDivergence));
        let back_tab = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(action(back_tab, View::Overview), Some(Action::FocusPrevious));
        let mut release: KeyEvent = KeyCode::Char('q').into();
        release.kind = KeyEventKind::Release;
        assert_eq!(action(release, View::Overview), None);
        assert_eq!(action(KeyCode::Char('w').into(), View::Overview), None);
    }

    #[test]
    fn the_footer_fits_and_keeps_help_and_quit() {
        for width in [20, 40, 80, 120, 300] {
            let hints = footer(View::Overview, width);
            let used: usize = hints.iter().map(|(k, w)| k.chars().count() + w.chars().count() + 3).sum();
            assert!(used <= width, "{width}: {used}");
            assert_eq!(hints[hints.len() - 2..], [("?", "help"), ("q", "quit")]);
        }
        assert!(footer(View::Overview, 79).len() >= 8);
    }

    #[test]
    fn markdown_lists_every_binding() {
        let table = markdown();
        for binding in BINDINGS {
            assert!(table.contains(binding.help), "{}", binding.help);
        }
        assert_eq!(table.lines().filter(|l| l.starts_with("|---")).count(), Chapter::ALL.len());
    }
}
