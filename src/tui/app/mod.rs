//! The screen's state and what actions do to it. Knows no widget; drawing reads it and changes nothing.

pub mod action;
pub mod history;
pub mod marks;
pub mod rows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use action::Action;
use history::History;
pub use marks::{ColumnMarks, Mark, divergences, findings};
pub use rows::{Row, Rows};

use crate::compare::{CellState, Verdict};
use crate::model::{Checkpoint, Site};
use crate::session::{Command, Focus, RunState, SideStatus, Snapshot, SourceState, TokenView};

/// Positions that [`Action::FarLeft`] and [`Action::FarRight`] move by.
const FAR: isize = 10;
/// Rows that [`Action::PageUp`] and [`Action::PageDown`] move by.
const PAGE: isize = 8;

/// What the cursor points at; every view shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Position.
    pub position: u32,
    /// Checkpoint.
    pub checkpoint: Checkpoint,
    /// Index into the values.
    pub channel: u32,
}

/// How deep one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Layers by positions.
    Overview,
    /// The checkpoints of one layer by positions.
    Layer,
    /// One tensor.
    Tensor,
    /// The page of keys.
    Help,
}

/// The panes that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaneKind {
    /// The strip of tokens with flags.
    Tokens,
    /// The parity map.
    Map,
    /// Heatmaps of reference, candidate, difference.
    SideBySide,
    /// The most likely tokens of both sides.
    Logits,
    /// The worst elements of the tensor.
    Elements,
    /// The verdict with its evidence.
    Verdict,
    /// Findings of garbage.
    Garbage,
}

impl PaneKind {
    /// All, in the order of [`Action::FocusNext`].
    pub const ALL: [Self; 7] = [
        Self::Map,
        Self::SideBySide,
        Self::Logits,
        Self::Elements,
        Self::Verdict,
        Self::Garbage,
        Self::Tokens,
    ];

    /// Name for titles, messages and file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Map => "parity map",
            Self::SideBySide => "side by side",
            Self::Logits => "logits",
            Self::Elements => "worst elements",
            Self::Verdict => "verdict",
            Self::Garbage => "garbage",
        }
    }

    /// Whether ↑ and ↓ scroll it instead of moving the cursor.
    pub fn scrolls(self) -> bool {
        matches!(self, Self::Logits | Self::Elements | Self::Verdict | Self::Garbage)
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|&p| p == self).unwrap_or(0)
    }
}

/// What is to be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportWhat {
    /// One pane.
    Pane(PaneKind),
    /// All of them.
    Screen,
}

/// A picture that the user asked for.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// What to draw.
    pub what: ExportWhat,
    /// How deep the screen looks: layers, the checkpoints of one, a tensor.
    pub depth: View,
    /// The data.
    pub snapshot: Arc<Snapshot>,
    /// The cell under the cursor.
    pub cursor: Cursor,
}

/// What an action asks of the world outside the state.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell the session.
    Send(Command),
    /// Draw a picture.
    Export(ExportRequest),
    /// Draw everything anew.
    Redraw,
    /// Give the terminal back until resumed.
    Suspend,
    /// End.
    Quit,
}

/// A line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What.
    pub text: String,
    /// Whether something went wrong.
    pub is_error: bool,
}

/// The values under the cursor, as far as they are known.
#[derive(Clone, Debug)]
pub enum Shown<'a> {
    /// They are here.
    Current(&'a Focus),
    /// They are being read; these belong to another cell.
    Stale(&'a Focus),
    /// Nothing was read yet.
    Nothing,
}

impl<'a> Shown<'a> {
    /// The values, whether or not they are those of the cursor.
    pub fn any(&self) -> Option<&'a Focus> {
        match self {
            Self::Current(focus) | Self::Stale(focus) => Some(focus),
            Self::Nothing => None,
        }
    }

    /// Whether they are those of the cursor.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Current(_))
    }
}

/// One place of the position axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The position.
    pub position: u32,
    token: Option<usize>,
    column: Option<usize>,
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    snapshot: Arc<Snapshot>,
    rows: Rows,
    marks: Vec<ColumnMarks>,
    axis: Vec<Slot>,
    cursor: Cursor,
    /// What scrolled panes are centred on: the cursor, except that a click leaves them where they are.
    anchor: Cursor,
    view: View,
    /// Lines by which the help is scrolled, while it is open.
    help: Option<u16>,
    pane: PaneKind,
    scroll: [u16; PaneKind::ALL.len()],
    fit: bool,
    following: bool,
    /// Whether the first divergence may still move the cursor: until the user does.
    leads: bool,
    led_to: Option<(u32, Checkpoint)>,
    history: History,
    message: Option<Message>,
    focus: Option<Arc<Focus>>,
    asked: Option<(u32, Checkpoint)>,
    effects: Vec<Effect>,
}

impl App {
    /// The screen over a first snapshot.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let cursor = Cursor { position: 0, checkpoint: Checkpoint::LOGITS, channel: 0 };
        let mut app = Self {
            rows: Rows::default(),
            marks: Vec::new(),
            axis: Vec::new(),
            cursor,
            anchor: cursor,
            view: View::Overview,
            help: None,
            pane: PaneKind::Map,
            scroll: [0; PaneKind::ALL.len()],
            fit: false,
            following: true,
            leads: true,
            led_to: None,
            history: History::default(),
            message: None,
            focus: None,
            asked: None,
            effects: Vec::new(),
            snapshot: Arc::clone(&snapshot),
        };
        app.take_in(snapshot);
        app
    }

    /// Shows a newer snapshot. Says whether it differs from the last one in anything that is shown.
    pub fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) -> bool {
        if looks_the_same(&self.snapshot, &snapshot) {
            self.snapshot = snapshot;
            return false;
        }
        if snapshot.message != self.snapshot.message
            && let Some(text) = &snapshot.message
        {
            self.tell(text.clone(), false);
        }
        self.take_in(snapshot);
        true
    }

    fn take_in(&mut self, snapshot: Arc<Snapshot>) {
        let new_rows = *self.rows.checkpoints() != snapshot.rows;
        if new_rows {
            self.rows = Rows::new(Arc::clone(&snapshot.rows));
        }
        let mut old = std::mem::take(&mut self.marks).into_iter().peekable();
        for column in &snapshot.columns {
            while old.next_if(|m| m.column.position < column.position).is_some() {}
            let kept = old.next_if(|m| !new_rows && Arc::ptr_eq(&m.column, column));
            self.marks.push(kept.unwrap_or_else(|| ColumnMarks::new(Arc::clone(column), &self.rows)));
        }
        self.axis = axis(&snapshot);
        if let Some(focus) = &snapshot.focus {
            self.focus = Some(Arc::clone(focus));
        }
        self.snapshot = snapshot;
        let before = self.cursor;
        self.lead();
        self.clamp();
        if self.cursor != before {
            self.anchor = self.cursor;
        }
    }

    /// Moves the cursor to the newest position while following, and to the first divergence
    /// until the user has moved.
    fn lead(&mut self) {
        if self.leads {
            match (&*self.snapshot.verdict, self.led_to) {
                (Verdict::Diverged { first, .. }, led_to) => {
                    let place = (first.position, first.checkpoint);
                    if led_to != Some(place) {
                        self.led_to = Some(place);
                        self.following = false;
                        self.history.jump(self.cursor);
                        (self.cursor.position, self.cursor.checkpoint) = place;
                        self.cursor.channel = first.metrics.max_at;
                    }
                }
                // More evidence has taken the verdict back.
                (_, Some(_)) => {
                    self.led_to = None;
                    self.following = true;
                    self.cursor.checkpoint = Checkpoint::LOGITS;
                }
                (_, None) => {}
            }
        }
        if self.following {
            let newest = self.marks.iter().rev().find(|m| m.all.shade != crate::palette::Shade::Empty);
            if let Some(marks) = newest {
                self.cursor.position = marks.column.position;
            } else if let Some(slot) = self.axis.last() {
                self.cursor.position = slot.position;
            }
        }
    }

    fn clamp(&mut self) {
        if self.slot(self.cursor.position).is_none()
            && let Some(nearest) = self.axis.iter().min_by_key(|s| s.position.abs_diff(self.cursor.position))
        {
            self.cursor.position = nearest.position;
        }
        let rows = self.rows.checkpoints();
        if let Err(at) = rows.binary_search(&self.cursor.checkpoint)
            && let Some(&nearest) = rows.get(at.min(rows.len().saturating_sub(1)))
        {
            self.cursor.checkpoint = nearest;
        }
    }

    /// Does what was asked.
    pub fn update(&mut self, action: Action) {
        if !matches!(action, Action::Redraw | Action::Suspend) {
            self.message = None;
        }
        if let Some(scroll) = self.help {
            return self.update_help(action, scroll);
        }
        self.act(action);
        if !matches!(action, Action::Select { .. } | Action::SelectPosition(_) | Action::FocusOn(_)) {
            self.anchor = self.cursor;
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Left => self.move_position(-1),
            Action::Right => self.move_position(1),
            Action::FarLeft => self.move_position(-FAR),
            Action::FarRight => self.move_position(FAR),
            Action::First => self.jump_along(self.axis.first().map(|s| s.position)),
            Action::Last => self.jump_along(self.axis.last().map(|s| s.position)),
            Action::Up => self.move_row_or_scroll(1),
            Action::Down => self.move_row_or_scroll(-1),
            Action::PageUp => self.move_row_or_scroll(PAGE),
            Action::PageDown => self.move_row_or_scroll(-PAGE),
            Action::Drill => self.drill(),
            Action::Leave => self.leave(),
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
            Action::Step => self.command_engine(Command::Step),
            Action::ToggleRun if self.snapshot.run == RunState::Running => {
                self.command_engine(Command::Pause);
            }
            Action::ToggleRun => self.command_engine(Command::Run),
            Action::Pause => self.command_engine(Command::Pause),
            Action::StepBack => self.command_engine(Command::Back),
            Action::FocusNext => self.cycle_pane(1),
            Action::FocusPrevious => self.cycle_pane(PaneKind::ALL.len() - 1),
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
            Action::Help => self.help = Some(0),
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
            Action::FocusOn(pane) => self.pane = pane,
            Action::Wheel(pane, notches) if pane.scrolls() => self.scroll_pane(pane, notches as isize),
            Action::Wheel(PaneKind::Tokens, notches) => self.move_position(notches as isize),
            Action::Wheel(_, notches) => self.move_row(-(notches as isize)),
        }
    }

    fn update_help(&mut self, action: Action, scroll: u16) {
        let by = |n: i16| Some(scroll.saturating_add_signed(n).min(500));
        match action {
            Action::Up => self.help = by(-1),
            Action::Down => self.help = by(1),
            Action::PageUp => self.help = by(-10),
            Action::PageDown => self.help = by(10),
            Action::First => self.help = Some(0),
            Action::Wheel(_, notches) => self.help = by(notches),
            Action::Redraw => self.effects.push(Effect::Redraw),
            Action::Suspend => self.effects.push(Effect::Suspend),
            Action::Quit => self.quit(),
            _ => self.help = None,
        }
    }

    fn quit(&mut self) {
        self.effects.push(Effect::Send(Command::Quit));
        self.effects.push(Effect::Quit);
    }

    fn export(&mut self, what: ExportWhat) {
        self.tell("drawing the picture …", false);
        let snapshot = Arc::clone(&self.snapshot);
        self.effects.push(Effect::Export(ExportRequest {
            what,
            depth: self.view,
            snapshot,
            cursor: self.cursor,
        }));
    }

    /// Shows how an export went.
    pub fn exported(&mut self, result: Result<PathBuf, String>) {
        match result {
            Ok(path) => self.tell(format!("saved {}", path.display()), false),
            Err(problem) => self.tell(format!("not exported: {problem}"), true),
        }
    }

    fn command_engine(&mut self, command: Command) {
        match (self.snapshot.run, command) {
            (RunState::Static, _) => self.tell("both runs are traces: there is no engine to step", false),
            (RunState::Finished, Command::Step | Command::Run) => {
                self.tell("everything asked for has been computed", false);
            }
            _ => self.effects.push(Effect::Send(command)),
        }
    }

    fn cycle_pane(&mut self, by: usize) {
        let count = PaneKind::ALL.len();
        let mut next = (self.pane.index() + by) % count;
        if PaneKind::ALL[next] == PaneKind::Elements && self.view != View::Tensor {
            next = (next + by) % count;
        }
        self.pane = PaneKind::ALL[next];
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
    fn go_along(&mut self, position: u32) {
        let row = Row::of(self.cursor.checkpoint);
        let checkpoint = match self.view {
            View::Overview => self.representative(row, position),
            _ => None,
        };
        self.go(position, checkpoint.unwrap_or(self.cursor.checkpoint));
    }

    fn move_row_or_scroll(&mut self, up: isize) {
        if self.pane.scrolls() { self.scroll_pane(self.pane, -up) } else { self.move_row(up) }
    }

    fn scroll_pane(&mut self, pane: PaneKind, down: isize) {
        let scroll = &mut self.scroll[pane.index()];
        *scroll = scroll.saturating_add_signed(down.clamp(-500, 500) as i16).min(2000);
    }

    fn move_row(&mut self, up: isize) {
        let position = self.cursor.position;
        if self.view == View::Overview {
            let rows = self.rows.overview();
            let Some(here) = rows.iter().position(|r| r.contains(self.cursor.checkpoint)) else { return };
            let row = rows[here.saturating_add_signed(up).min(rows.len() - 1)];
            if let Some(checkpoint) = self.representative(row, position) {
                self.go(position, checkpoint);
            }
        } else {
            let rows = self.rows.checkpoints();
            let Ok(here) = rows.binary_search(&self.cursor.checkpoint) else { return };
            let checkpoint = rows[here.saturating_add_signed(up).min(rows.len() - 1)];
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
                .max_by_key(|&(c, mark)| (mark.origin, mark.shade, std::cmp::Reverse(c)))
                .map(|(c, _)| c)
        });
        let handed_on = || members.iter().copied().find(|c| c.site() == Site::LOut);
        worst.or_else(handed_on).or_else(|| members.last().copied())
    }

    fn go(&mut self, position: u32, checkpoint: Checkpoint) {
        self.leads = false;
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

    fn travel(&mut self, way: fn(&mut History, Cursor) -> Option<Cursor>, otherwise: &str) {
        match way(&mut self.history, self.cursor) {
            Some(to) => {
                self.go(to.position, to.checkpoint);
                self.cursor.channel = to.channel;
            }
            None => self.tell(otherwise, false),
        }
    }

    fn drill(&mut self) {
        self.view = match self.view {
            View::Overview if self.cursor.checkpoint.layer_index().is_some() => View::Layer,
            _ => View::Tensor,
        };
        if self.view == View::Tensor && self.pane == PaneKind::Map {
            self.pane = PaneKind::SideBySide;
        }
    }

    fn leave(&mut self) {
        self.view = match self.view {
            View::Tensor if self.cursor.checkpoint.layer_index().is_some() => View::Layer,
            _ => View::Overview,
        };
        if matches!(self.pane, PaneKind::Elements | PaneKind::SideBySide) {
            self.pane = PaneKind::Map;
        }
    }

    /// Shows a line to the user.
    pub fn tell(&mut self, text: impl Into<String>, is_error: bool) {
        self.message = Some(Message { text: text.into(), is_error });
    }

    /// What the actions since the last call ask of the outside.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The cell to be read for the screen, if it was not asked for yet.
    pub fn wanted_focus(&self) -> Option<Command> {
        let Cursor { position, checkpoint, .. } = self.cursor;
        let place = (position, checkpoint);
        let there = !self.axis.is_empty() && !self.rows.checkpoints().is_empty();
        (there && self.asked != Some(place)).then_some(Command::Focus { position, checkpoint })
    }

    /// Remembers that [`App::wanted_focus`] was sent.
    pub fn asked_for_focus(&mut self) {
        self.asked = Some((self.cursor.position, self.cursor.checkpoint));
    }

    /// The values under the cursor, or the last ones known.
    pub fn shown(&self) -> Shown<'_> {
        match &self.focus {
            None => Shown::Nothing,
            Some(f) if (f.position, f.checkpoint) == (self.cursor.position, self.cursor.checkpoint) => {
                Shown::Current(f)
            }
            Some(f) => Shown::Stale(f),
        }
    }

    fn channels(&self) -> u32 {
        let len =
            |tensor: &Option<crate::trace::Tensor>| tensor.as_ref().map_or(0, |t| t.values.len() as u32);
        self.shown().any().map_or(0, |f| len(&f.reference).max(len(&f.candidate)))
    }

    /// The data.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// What scrolled panes are centred on.
    pub fn anchor(&self) -> Cursor {
        self.anchor
    }

    /// What is looked at: the help while it is open.
    pub fn view(&self) -> View {
        if self.help.is_some() { View::Help } else { self.view }
    }

    /// What is looked at behind the help.
    pub fn depth(&self) -> View {
        self.view
    }

    /// The focused pane.
    pub fn pane(&self) -> PaneKind {
        self.pane
    }

    /// Lines by which a pane is scrolled; drawing limits it to what there is.
    pub fn scroll(&self, pane: PaneKind) -> u16 {
        self.scroll[pane.index()]
    }

    /// Lines by which the help is scrolled.
    pub fn help_scroll(&self) -> u16 {
        self.help.unwrap_or(0)
    }

    /// Whether the map shows everything at once.
    pub fn fit(&self) -> bool {
        self.fit
    }

    /// Whether the cursor stays at the newest position.
    pub fn following(&self) -> bool {
        self.following
    }

    /// The line for the user.
    pub fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// Every position that either side knows, ascending.
    pub fn axis(&self) -> &[Slot] {
        &self.axis
    }

    /// The place of `position` on the axis.
    pub fn slot(&self, position: u32) -> Option<usize> {
        self.axis.binary_search_by_key(&position, |s| s.position).ok()
    }

    /// The token at a place of the axis.
    pub fn token(&self, slot: Slot) -> Option<&TokenView> {
        self.snapshot.tokens.get(slot.token?)
    }

    /// The marks at a place of the axis.
    pub fn slot_marks(&self, slot: Slot) -> Option<&ColumnMarks> {
        self.marks.get(slot.column?)
    }

    /// The marks of a position.
    pub fn marks(&self, position: u32) -> Option<&ColumnMarks> {
        self.marks.binary_search_by_key(&position, |m| m.column.position).ok().map(|i| &self.marks[i])
    }

    /// The state of the cell under the cursor.
    pub fn cell(&self) -> Option<&CellState> {
        self.marks(self.cursor.position)?.column.cell(self.cursor.checkpoint).map(|c| &c.state)
    }

    /// The map's rows in order of execution: layers, or the checkpoints of the cursor's layer.
    pub fn map_rows(&self) -> Vec<Row> {
        match self.view {
            View::Overview => self.rows.overview().to_vec(),
            _ => self.rows.group(self.cursor.checkpoint).iter().copied().map(Row::Single).collect(),
        }
    }

    /// The look of one cell of the map; `index` is the row's in [`App::map_rows`].
    pub fn mark(&self, slot: Slot, index: usize, row: Row) -> Mark {
        let Some(marks) = self.slot_marks(slot) else { return Mark::default() };
        let mark = match (self.view, row) {
            (View::Overview, _) => marks.rows.get(index).copied().unwrap_or_default(),
            (_, Row::Single(c)) => marks.column.cell(c).map(|c| Mark::of(&c.state)).unwrap_or_default(),
            (_, Row::Layer(_)) => Mark::default(),
        };
        let first = self.first().is_some_and(|(p, c)| p == slot.position && row.contains(c));
        Mark { first, origin: mark.origin || first, ..mark }
    }

    /// Where the runs first part, according to the verdict.
    pub fn first(&self) -> Option<(u32, Checkpoint)> {
        match &*self.snapshot.verdict {
            Verdict::Diverged { first, .. } => Some((first.position, first.checkpoint)),
            _ => None,
        }
    }
}

/// Whether two snapshots show the same; a session also publishes when only time has passed.
fn looks_the_same(a: &Snapshot, b: &Snapshot) -> bool {
    let same_focus = match (&a.focus, &b.focus) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    same_focus
        && Arc::ptr_eq(&a.tokens, &b.tokens)
        && (Arc::ptr_eq(&a.rows, &b.rows) || a.rows == b.rows)
        && a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(a, b)| Arc::ptr_eq(a, b))
        && (Arc::ptr_eq(&a.verdict, &b.verdict) || a.verdict == b.verdict)
        && (&a.model, &a.message, a.run, a.step) == (&b.model, &b.message, b.run, b.step)
        && shown_of(&a.reference) == shown_of(&b.reference)
        && shown_of(&a.candidate) == shown_of(&b.candidate)
}

/// A side as it is shown: stalled sources in whole seconds.
fn shown_of(side: &SideStatus) -> SideStatus {
    let mut side = side.clone();
    if let SourceState::Stalled(time) = &mut side.state {
        *time = Duration::from_secs(time.as_secs());
    }
    side
}

/// The union of the tokens' and the columns' positions.
fn axis(snapshot: &Snapshot) -> Vec<Slot> {
    let (tokens, columns) = (&snapshot.tokens, &snapshot.columns);
    let mut axis = Vec::with_capacity(tokens.len().max(columns.len()));
    let (mut t, mut c) = (0, 0);
    while t < tokens.len() || c < columns.len() {
        let of_token = tokens.get(t).map(|token| token.position);
        let of_column = columns.get(c).map(|column| column.position);
        let Some(position) = of_token.into_iter().chain(of_column).min() else { break };
        let token = (of_token == Some(position)).then_some(t);
        let column = (of_column == Some(position)).then_some(c);
        t += usize::from(token.is_some());
        c += usize::from(column.is_some());
        axis.push(Slot { position, token, column });
    }
    axis
}
