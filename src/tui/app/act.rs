//! What actions do to the state.

use std::cmp::Reverse;
use std::mem::discriminant;
use std::path::PathBuf;
use std::sync::Arc;

use super::history::{History, Visited};
use super::overlay::bookmarks::Bookmarking;
use super::{
    Action, App, Cursor, Effect, ExportRequest, ExportWhat, Mark, Overlay, Row, Shown, Target, divergences,
};
use crate::compare::{Ranking, Verdict};
use crate::model::{Checkpoint, Site};
use crate::session::{Change, Command, Focus, RunState, Stop};
use crate::tui::kinds::{PaneKind, Vertical};
use crate::tui::views::{RowsOf, View};
use crate::tui::words;

/// Positions that [`Action::FarLeft`] and [`Action::FarRight`] move by.
const FAR: isize = 10;
/// Rows that [`Action::PageUp`] and [`Action::PageDown`] move by.
const PAGE: isize = 8;

impl App {
    /// Does what was asked.
    pub fn update(&mut self, action: Action) {
        if !matches!(action, Action::Redraw | Action::Suspend | Action::Type(_)) {
            self.message = None;
        }
        if let Overlay::Help { scroll } = self.overlay {
            return self.update_help(action, scroll);
        }
        if self.overlay != Overlay::None {
            self.update_prompt(action);
            return self.anchor = self.cursor;
        }
        let keeps_anchor = matches!(
            action,
            Action::Select { .. }
                | Action::SelectPosition(_)
                | Action::SelectChannel(..)
                | Action::FocusOn(_)
                | Action::Choose(..)
                | Action::Grab(_)
                | Action::Drag(..)
        );
        self.act(action);
        if !keeps_anchor {
            self.anchor = self.cursor;
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        if let Some(used) = &mut self.used {
            used.insert(discriminant(&action));
        }
        match action {
            Action::Left => self.move_position(-1),
            Action::Right => self.move_position(1),
            Action::FarLeft => self.move_position(-FAR),
            Action::FarRight => self.move_position(FAR),
            Action::First if self.pane.chooses() => self.choose(self.pane, 0, false),
            Action::Last if self.pane.chooses() => self.choose(self.pane, usize::MAX, false),
            Action::First => self.jump_along(self.axis.first().map(|s| s.position)),
            Action::Last => self.jump_along(self.axis.last().map(|s| s.position)),
            Action::Up => self.move_row_or_scroll(1),
            Action::Down => self.move_row_or_scroll(-1),
            Action::PageUp => self.move_row_or_scroll(PAGE),
            Action::PageDown => self.move_row_or_scroll(-PAGE),
            Action::Drill if self.pane.chooses() => self.enter_chosen(self.pane),
            Action::Drill => self.drill(),
            Action::Leave if self.call_off() => {}
            Action::Leave => self.leave(),
            Action::Diagnose => self.diagnose(),
            Action::Evidence => self.look_at_evidence(),
            Action::Order => self.next_order(),
            Action::FirstDivergence => self.first_divergence(),
            Action::NextDivergence => self.seek(true),
            Action::PreviousDivergence => self.seek(false),
            Action::Follow => {
                self.following = !self.following;
                self.leads = false;
                self.lead();
                let text = if self.following { "following the newest position" } else { "following ended" };
                self.tell(text, false);
            }
            Action::HistoryBack => self.travel(History::back, "nothing before this"),
            Action::HistoryForward => self.travel(History::forward, "nothing after this"),
            Action::ChannelBack => self.cursor.channel = self.cursor.channel.saturating_sub(1),
            Action::ChannelOn => {
                self.cursor.channel = (self.cursor.channel + 1).min(self.channels().saturating_sub(1));
            }
            Action::WorstChannel => match self.shown() {
                Shown::Current(Focus { metrics: Some(metrics), .. }) => self.cursor.channel = metrics.max_at,
                _ => self.tell("no values of both sides here", false),
            },
            Action::Jump(target) => self.jump_to(target),
            Action::NextHit => self.next_hit(true),
            Action::PreviousHit => self.next_hit(false),
            Action::AskBookmark => self.open_bookmarks(Bookmarking::Set),
            Action::AskWhichBookmark => self.open_bookmarks(Bookmarking::Go),
            Action::Bookmark(letter) => self.set_bookmark(letter),
            Action::GoToBookmark(letter) => self.go_to_bookmark(letter),
            Action::Session(command) => self.command_session(command),
            Action::RunToCursor => {
                self.command_session(Command::RunUntil(Stop::Position(self.cursor.position)));
            }
            Action::AskUntil => self.ask("until "),
            Action::ToggleBreakpoint => self.toggle_breakpoint(),
            Action::Break(stop) => self.add_breakpoint(&stop),
            Action::Unbreak(which) => self.delete_breakpoints(which),
            Action::ListBreakpoints if self.breakpoints.is_empty() => {
                self.tell("no breakpoints: B sets one at the cursor's position, :break a condition", false);
            }
            Action::ListBreakpoints => self.overlay = Overlay::Breakpoints,
            Action::WhatIfGraft => self.what_if_graft(),
            Action::Step => self.command_engine(Command::Step),
            Action::ToggleRun if self.snapshot.run == RunState::Running => {
                self.command_engine(Command::Pause);
            }
            Action::ToggleRun => self.command_engine(Command::Run),
            Action::Pause => self.command_engine(Command::Pause),
            Action::StepBack => self.command_engine(Command::Back),
            Action::Restart => self.command_engine(Command::Restart),
            Action::FocusNext => self.cycle_pane(1),
            Action::FocusPrevious => self.cycle_pane(-1),
            Action::Look(view) => self.look(view),
            Action::Grab(split) => self.dragged = Some(split),
            Action::Drag(split, percent) => {
                self.splits.insert(split, percent);
            }
            Action::Drop => self.dragged = None,
            Action::Fit => {
                self.fit = !self.fit;
                let text = if self.fit {
                    "the whole map; each cell shows the worst of several"
                } else {
                    "one column a position"
                };
                self.tell(text, false);
            }
            Action::ExportPane => self.export(ExportWhat::Pane(self.pane)),
            Action::ExportScreen => self.export(ExportWhat::Screen),
            Action::Help => self.overlay = Overlay::Help { scroll: 0 },
            Action::OpenCommandLine => self.ask(""),
            Action::OpenSearch => self.open_search(),
            Action::OpenPalette => self.open_palette(),
            // Nothing is open that takes it.
            Action::Type(_) => {}
            Action::Hints(on) => {
                self.set_hints(on);
                self.tell(if on { "hints are shown below" } else { "no more hints" }, false);
            }
            Action::Graphics(choice) => self.effects.push(Effect::Graphics(choice)),
            Action::Redraw => self.effects.push(Effect::Redraw),
            Action::Suspend => self.effects.push(Effect::Suspend),
            Action::Quit => self.quit(),
            Action::Select { position, row } => {
                self.pane = PaneKind::Map;
                let same = self.cursor.position == position && row.contains(self.cursor.checkpoint);
                if same {
                    return self.drill();
                }
                let checkpoint = self.representative(row, position).unwrap_or(self.cursor.checkpoint);
                self.go(position, checkpoint);
            }
            Action::SelectPosition(position) => self.go_along(position),
            Action::SelectChannel(checkpoint, channel) => {
                self.go(self.cursor.position, checkpoint);
                self.cursor.channel = channel;
            }
            Action::FocusOn(pane) => self.pane = pane,
            Action::Choose(pane, row) => {
                let again = self.pane == pane && self.chosen(pane) == Some(row);
                self.pane = pane;
                if again {
                    return self.enter_chosen(pane);
                }
                self.choose(pane, row, true);
            }
            Action::Wheel(pane, notches) if pane.chooses() => self.move_choice(pane, notches as isize),
            Action::Wheel(pane, notches) if pane.scrolls() => self.scroll_pane(pane, notches as isize),
            Action::Wheel(PaneKind::Tokens, notches) => self.move_position(notches as isize),
            Action::Wheel(_, notches) => self.move_row(-(notches as isize)),
        }
    }

    fn update_help(&mut self, action: Action, scroll: u16) {
        let by = |n: i16| Overlay::Help { scroll: scroll.saturating_add_signed(n).min(500) };
        self.overlay = match action {
            Action::Up => by(-1),
            Action::Down => by(1),
            Action::PageUp => by(-10),
            Action::PageDown => by(10),
            Action::First => Overlay::Help { scroll: 0 },
            Action::Wheel(_, notches) => by(notches),
            action @ (Action::Redraw | Action::Suspend | Action::Quit) => return self.act(action),
            _ => Overlay::None,
        };
    }

    fn quit(&mut self) {
        self.effects.push(Effect::Send(Command::Quit));
        self.effects.push(Effect::Quit);
    }

    fn export(&mut self, what: ExportWhat) {
        let snapshot = Arc::clone(&self.snapshot);
        self.effects.push(Effect::Export(ExportRequest {
            what,
            view: self.view,
            snapshot,
            cursor: self.cursor,
            text: String::new(),
            shown: None,
        }));
    }

    /// Shows how an export went.
    pub fn exported(&mut self, result: Result<Vec<PathBuf>, String>) {
        let problem = match result {
            Ok(files) => match files.split_first() {
                Some((first, others)) => {
                    let more: Vec<String> = others
                        .iter()
                        .filter_map(|path| Some(format!(" .{}", path.extension()?.to_string_lossy())))
                        .collect();
                    return self.tell(format!("saved {}{}", first.display(), more.concat()), false);
                }
                None => "nothing was drawn".to_owned(),
            },
            Err(problem) => problem,
        };
        self.tell(format!("not exported: {problem}"), true);
    }

    fn command_engine(&mut self, command: Command) {
        match (self.snapshot.run, &command) {
            (RunState::Static, _) => self.tell("both runs are traces: there is no engine to step", false),
            (RunState::Finished, Command::Step | Command::Run) => {
                self.tell("everything asked for has been computed", false);
            }
            _ => self.effects.push(Effect::Send(command)),
        }
    }

    /// What an engine does; everything else the session does without one.
    fn command_session(&mut self, command: Command) {
        let for_engines = matches!(
            command,
            Command::RunUntil(_) | Command::Breakpoints(_) | Command::Feed(_) | Command::Rerun(_)
        );
        if for_engines && self.snapshot.run == RunState::Static {
            self.tell("both runs are traces: there is no engine to command", false);
        } else {
            self.effects.push(Effect::Send(command));
        }
    }

    /// What if the checkpoint under the cursor were right?
    fn what_if_graft(&mut self) {
        let Cursor { position, checkpoint, .. } = self.cursor;
        self.command_session(Command::Rerun(Change::Graft { position, checkpoint }));
        if self.snapshot.run != RunState::Static {
            let cell = format!("{checkpoint} at position {position}");
            let text = format!("what if {cell} were right? It takes the reference's values; :what-if undo");
            self.tell(text, false);
        }
    }

    fn cycle_pane(&mut self, by: isize) {
        let panes = self.view.panes();
        let here = panes.iter().position(|&p| p == self.pane).unwrap_or(0);
        self.pane = panes[(here + panes.len()).saturating_add_signed(by) % panes.len()];
    }

    /// Shows a view with the focus on its first pane.
    pub(super) fn look(&mut self, view: View) {
        self.view = view;
        self.pane = view.first_pane();
    }

    fn move_position(&mut self, by: isize) {
        let Some(here) = self.axis.iter().position(|s| s.position == self.cursor.position) else { return };
        let to = here.saturating_add_signed(by).min(self.axis.len() - 1);
        self.go_along(self.axis[to].position);
    }

    fn jump_along(&mut self, position: Option<u32>) {
        if let Some(position) = position {
            self.history.jump(self.cursor);
            self.go_along(position);
        }
    }

    /// Along the row: in the overview to what stands out there in this layer.
    pub(super) fn go_along(&mut self, position: u32) {
        let row = Row::of(self.cursor.checkpoint);
        let checkpoint = match self.view.info().rows {
            RowsOf::Layers => self.representative(row, position),
            RowsOf::Checkpoints | RowsOf::Site => None,
        };
        self.go(position, checkpoint.unwrap_or(self.cursor.checkpoint));
    }

    /// A jump that the history remembers.
    pub(super) fn jump_to(&mut self, target: Target) {
        self.history.jump(self.cursor);
        match (target.position, target.checkpoint) {
            (Some(position), None) => self.go_along(position),
            (None, None) => {}
            (position, Some(checkpoint)) => self.go(position.unwrap_or(self.cursor.position), checkpoint),
        }
        self.cursor.channel = target.channel.unwrap_or(self.cursor.channel);
    }

    fn move_row_or_scroll(&mut self, up: isize) {
        match self.pane.info().vertical {
            Vertical::Scroll => self.scroll_pane(self.pane, -up),
            Vertical::List => self.move_choice(self.pane, -up),
            Vertical::Cursor => self.move_row(up),
        }
    }

    fn scroll_pane(&mut self, pane: PaneKind, down: isize) {
        let scroll = &mut self.scroll[pane.index()];
        *scroll = scroll.saturating_add_signed(down.clamp(-500, 500) as i16).min(2000);
    }

    fn move_row(&mut self, up: isize) {
        let position = self.cursor.position;
        let step = |here: usize, len: usize| here.saturating_add_signed(up).min(len.saturating_sub(1));
        let checkpoint = match self.view.info().rows {
            RowsOf::Layers => {
                let rows = self.rows.overview();
                let here = rows.iter().position(|r| r.contains(self.cursor.checkpoint));
                here.and_then(|here| self.representative(rows[step(here, rows.len())], position))
            }
            RowsOf::Checkpoints => {
                let rows = self.rows.checkpoints();
                let here = rows.binary_search(&self.cursor.checkpoint).ok();
                here.map(|here| rows[step(here, rows.len())])
            }
            RowsOf::Site => {
                let rows = self.rows.alike(self.cursor.checkpoint);
                let here = rows.binary_search(&self.cursor.checkpoint).ok();
                here.map(|here| rows[step(here, rows.len())])
            }
        };
        if let Some(checkpoint) = checkpoint {
            self.go(position, checkpoint);
        }
    }

    /// The checkpoint that stands for a row of the overview: where an error enters, else the worst
    /// beyond noise, else what the layer hands on.
    fn representative(&self, row: Row, position: u32) -> Option<Checkpoint> {
        let members = self.rows.members(row);
        let column = self.marks(position).map(|m| &m.column);
        let worst = column.and_then(|column| {
            let marks = members.iter().filter_map(|&c| Some((c, Mark::of(&column.cell(c)?.state))));
            marks
                .filter(|(_, mark)| mark.is_beyond())
                .max_by_key(|&(c, mark)| (mark.origin, mark.shade, Reverse(c)))
                .map(|(c, _)| c)
        });
        let handed_on = || members.iter().copied().find(|c| c.site() == Site::LOut);
        worst.or_else(handed_on).or_else(|| members.last().copied())
    }

    pub(super) fn go(&mut self, position: u32, checkpoint: Checkpoint) {
        self.leads = false;
        self.awaited = None;
        self.following = false;
        (self.cursor.position, self.cursor.checkpoint) = (position, checkpoint);
        if self.axis.is_empty() {
            return;
        }
        self.clamp();
    }

    fn jump(&mut self, (position, checkpoint): (u32, Checkpoint)) {
        self.history.jump(self.cursor);
        self.go(position, checkpoint);
    }

    fn first_divergence(&mut self) {
        let place = match &*self.snapshot.verdict {
            Verdict::Diverged { first, .. } => {
                self.cursor.channel = first.metrics.max_at;
                Some((first.position, first.checkpoint))
            }
            _ => divergences(&self.snapshot.columns).first().copied(),
        };
        match place {
            Some(place) => self.jump(place),
            None => self.tell("no divergence so far", false),
        }
    }

    fn seek(&mut self, forward: bool) {
        let all = divergences(&self.snapshot.columns);
        let here = (self.cursor.position, self.cursor.checkpoint);
        let found = if forward {
            all.iter().find(|&&place| place > here)
        } else {
            all.iter().rev().find(|&&place| place < here)
        };
        match found {
            Some(&place) => self.jump(place),
            None if all.is_empty() => self.tell("no divergence so far", false),
            None if forward => self.tell("no divergence after this one", false),
            None => self.tell("no divergence before this one", false),
        }
    }

    fn travel(&mut self, way: fn(&mut History, Cursor, View) -> Option<Visited>, otherwise: &str) {
        match way(&mut self.history, self.cursor, self.view) {
            Some((to, view)) => {
                self.go(to.position, to.checkpoint);
                self.cursor.channel = to.channel;
                if let Some(view) = view {
                    self.look(view);
                }
            }
            None => self.tell(otherwise, false),
        }
    }

    /// To the cell of a list's chosen row.
    fn enter_chosen(&mut self, list: PaneKind) {
        match self.target(list) {
            Some(to) => self.visit(to),
            None => self.tell("nothing is listed here", false),
        }
    }

    fn next_order(&mut self) {
        self.ranking = match self.ranking {
            Ranking::Reference => Ranking::Candidate,
            Ranking::Candidate => Ranking::Difference,
            Ranking::Difference => Ranking::Reference,
        };
        self.tell(format!("tokens by {}", words::ranking(self.ranking)), false);
    }

    fn drill(&mut self) {
        let view = match self.view {
            View::Overview if self.cursor.checkpoint.layer_index().is_some() => View::Layer,
            _ => View::Tensor,
        };
        self.enter(view);
    }

    fn leave(&mut self) {
        let view = match self.view {
            View::Tensor if self.cursor.checkpoint.layer_index().is_some() => View::Layer,
            _ => View::Overview,
        };
        self.enter(view);
    }

    /// Deeper or back: a pane that the view has too keeps the focus, unless it is the view's face.
    fn enter(&mut self, view: View) {
        let face = self.pane == self.view.first_pane();
        let kept = self.pane;
        self.look(view);
        if !face && view.panes().contains(&kept) {
            self.pane = kept;
        }
    }
}
