//! The command line: names with arguments, completed, remembered, and explained where they are wrong.

use super::Overlay;
use super::editor::Editor;
use super::typed::Typed;
use crate::text::safe_short;
use crate::tui::app::entry::{Candidate, Entry, Run};
use crate::tui::app::{Action, App};

/// Lines that are remembered.
const REMEMBERED: usize = 500;

/// A command that is being typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandLine {
    /// The text.
    pub editor: Editor,
    /// How it may go on.
    pub candidates: Vec<Candidate>,
    /// Which of them stands in the text.
    pub chosen: Option<usize>,
    /// What was wrong with it.
    pub error: Option<String>,
    /// Where in the text the candidates begin, in bytes.
    from: usize,
    /// Which of the remembered lines it shows, counted from the newest, and what was typed before.
    recalled: Option<(usize, String)>,
}

impl App {
    /// Opens the command line with `text` in it.
    pub(in crate::tui::app) fn ask(&mut self, text: &str) {
        let mut line = CommandLine { editor: Editor::new(text), ..CommandLine::default() };
        self.offer(&mut line);
        self.overlay = Overlay::Command(line);
    }

    pub(super) fn type_command(&mut self, mut line: CommandLine, typed: &Typed) {
        match typed {
            Typed::Enter => {
                let text = line.editor.text().trim().to_owned();
                if text.is_empty() {
                    return;
                }
                match self.command(&text) {
                    Ok(action) => {
                        self.remember(text);
                        return self.act(action);
                    }
                    Err(error) => line.error = Some(error),
                }
            }
            // As in other command lines: out of an empty one.
            Typed::Backspace if line.editor.text().is_empty() => return,
            Typed::Next => complete(&mut line, 1),
            Typed::Previous => complete(&mut line, -1),
            Typed::Pick(index) => {
                if let Some(candidate) = line.candidates.get(*index) {
                    line.editor.complete(line.from, &candidate.text);
                    self.offer(&mut line);
                }
            }
            Typed::Up => self.recall(&mut line, true),
            Typed::Down => self.recall(&mut line, false),
            typed => {
                let place = line.editor.halves().0.len();
                let changed = line.editor.edit(typed);
                if changed || place != line.editor.halves().0.len() {
                    line.recalled = None;
                    self.offer(&mut line);
                }
            }
        }
        self.overlay = Overlay::Command(line);
    }

    /// Lists how the text before the cursor may go on.
    fn offer(&self, line: &mut CommandLine) {
        line.error = None;
        line.chosen = None;
        let before = line.editor.halves().0;
        let start = before.len() - before.trim_start().len();
        let Some(space) = before[start..].find(' ').map(|i| start + i) else {
            line.from = start;
            let names = self.commands.iter().filter(|entry| !entry.name.contains(' '));
            let all = names.map(|entry| Candidate {
                text: entry.name.to_string(),
                form: entry.form.to_owned(),
                help: entry.help.to_string(),
                keys: entry.keys.clone(),
            });
            line.candidates = matching(all.collect(), &before[start..]);
            return;
        };
        let argument = before[space..].trim_start();
        line.from = before.len() - argument.len();
        let name = &before[start..space];
        let all = match self.find(name) {
            Ok(Entry { run: Run::Read { complete, .. }, .. }) => complete(self),
            _ => Vec::new(),
        };
        line.candidates = matching(all, argument);
    }

    /// The entry that the text begins with, for a line about it.
    pub fn command_of(&self, line: &CommandLine) -> Option<&Entry> {
        self.find(line.editor.text().split_whitespace().next()?).ok()
    }

    /// What a line of the command line means, or what is wrong with it.
    pub fn command(&self, text: &str) -> Result<Action, String> {
        if let Some(Entry { run: Run::Do(action), .. }) = self.commands.iter().find(|e| e.name == text) {
            return Ok(action.clone());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return self.command(&format!("goto {text}"));
        }
        let (name, argument) = text.split_once(' ').unwrap_or((text, ""));
        let (entry, argument) = (self.find(name)?, argument.trim());
        match &entry.run {
            Run::Do(action) if argument.is_empty() => Ok(action.clone()),
            Run::Do(_) => {
                Err(format!("`{}` stands alone; `{}` is too much", entry.name, safe_short(argument, 40)))
            }
            Run::Read { .. } if argument.is_empty() && entry.needs_argument() => {
                Err(format!("expected `{}`: {}", entry.usage(), entry.help))
            }
            Run::Read { read, .. } => read(self, argument),
        }
    }

    /// The entry of this name, or the only one whose name begins so.
    fn find(&self, name: &str) -> Result<&Entry, String> {
        let words = || self.commands.iter().filter(|entry| !entry.name.contains(' '));
        if let Some(entry) = words().find(|entry| entry.name == name) {
            return Ok(entry);
        }
        let short = safe_short(name, 40);
        let mut alike = words().filter(|entry| entry.name.starts_with(name));
        match (alike.next(), alike.next()) {
            (Some(entry), None) => Ok(entry),
            (Some(a), Some(b)) => {
                let rest = if alike.next().is_some() { " …" } else { "" };
                Err(format!("`{short}` may be {} or {}{rest}", a.name, b.name))
            }
            (None, _) => {
                let close = |entry: &&Entry| strsim::jaro_winkler(&entry.name, name);
                let nearest = words().max_by(|a, b| close(a).total_cmp(&close(b)));
                let nearest = nearest.filter(|entry| close(entry) > 0.75).map(|entry| &entry.name);
                let nearest = nearest.map(|name| format!("did you mean `{name}`?"));
                let next = nearest.unwrap_or_else(|| "an empty line lists all".to_owned());
                Err(format!("no command is called `{short}`; {next}"))
            }
        }
    }

    fn remember(&mut self, text: String) {
        let here = self.typed_before.len() - self.typed_here;
        if let Some(at) = self.typed_before.iter().position(|line| *line == text) {
            self.typed_before.remove(at);
            self.typed_here -= usize::from(at >= here);
        }
        self.typed_before.push(text);
        self.typed_here += 1;
        let over = self.typed_before.len().saturating_sub(REMEMBERED);
        self.typed_before.drain(..over);
        self.typed_here = self.typed_here.min(self.typed_before.len());
    }

    /// Lines that ↑ brings back, of earlier screens, the newest last.
    pub fn set_typed_before(&mut self, lines: Vec<String>) {
        (self.typed_before, self.typed_here) = (lines, 0);
    }

    /// Lines that were typed on this screen and meant something, the newest last.
    pub fn typed_here(&self) -> &[String] {
        &self.typed_before[self.typed_before.len() - self.typed_here..]
    }

    fn recall(&self, line: &mut CommandLine, back: bool) {
        let typed = || line.editor.text().to_owned();
        let (at, draft) = line.recalled.clone().map_or_else(|| (None, typed()), |(n, d)| (Some(n), d));
        let to = match (at, back) {
            (None, true) => Some(0),
            (Some(n), true) => Some((n + 1).min(self.typed_before.len().saturating_sub(1))),
            (None, false) => return,
            (Some(n), false) => n.checked_sub(1),
        };
        let shown = match to {
            None => Some(draft.clone()),
            Some(n) => self.typed_before.iter().rev().nth(n).cloned(),
        };
        if let Some(text) = shown {
            line.editor.set(&text);
            self.offer(line);
            line.recalled = to.map(|n| (n, draft));
        }
    }
}

/// Those that begin with what was typed, then those that hold it.
fn matching(all: Vec<Candidate>, typed: &str) -> Vec<Candidate> {
    let typed = typed.to_lowercase();
    let (begin, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|c| c.text.to_lowercase().starts_with(&typed));
    let hold = others.into_iter().filter(|c| c.text.to_lowercase().contains(&typed));
    let (begin, hold): (Vec<_>, Vec<_>) = (begin, hold.collect());
    [begin, hold].concat()
}

/// First as far as all candidates agree, then one candidate after the other.
fn complete(line: &mut CommandLine, by: isize) {
    let count = line.candidates.len();
    if count == 0 {
        return;
    }
    if line.chosen.is_none() {
        let typed = &line.editor.halves().0[line.from..];
        let common = common_start(&line.candidates);
        if common.len() > typed.len() && common.to_lowercase().starts_with(&typed.to_lowercase()) {
            let alone = count == 1 && !line.candidates[0].form.is_empty();
            line.editor.complete(line.from, &format!("{common}{}", if alone { " " } else { "" }));
            return;
        }
    }
    let to = match line.chosen {
        Some(at) => (at + count).saturating_add_signed(by) % count,
        None if by > 0 => 0,
        None => count - 1,
    };
    line.chosen = Some(to);
    line.error = None;
    line.editor.complete(line.from, &line.candidates[to].text);
}

fn common_start(candidates: &[Candidate]) -> String {
    let Some((first, rest)) = candidates.split_first() else { return String::new() };
    let agree = |text: &str| first.text.chars().zip(text.chars()).take_while(|(a, b)| a == b).count();
    let length = rest.iter().map(|c| agree(&c.text)).min().unwrap_or(usize::MAX);
    first.text.chars().take(length).collect()
}
