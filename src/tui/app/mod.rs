//! The screen's state and what actions do to it. Knows no widget; drawing reads it and changes nothing.

mod act;
pub mod action;
mod breakpoints;
mod change;
mod diagnosis;
pub mod entry;
mod fuzzy;
pub mod history;
pub mod lists;
pub mod marks;
pub mod overlay;
mod parts;
mod prepared;
pub mod rates;
pub mod rows;
mod saved;

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

pub use action::Action;
use change::{axis, looks_the_same};
use diagnosis::{FaultyCells, faulty_cells, same_diagnosis};
use entry::Entry;
use history::History;
use lists::Lists;
use marks::Folded;
pub use marks::{ColumnMarks, Mark, divergences, findings};
pub use overlay::bookmarks::Bookmarks;
pub use overlay::typed::Typed;
pub use overlay::{Overlay, Place};
pub use parts::{Cursor, Effect, ExportRequest, ExportWhat, Message, Shown, Slot, Target};
pub use prepared::Prepared;
use rates::Rates;
pub use rows::{Row, Rows};
pub use saved::{SavedPlace, SavedScreen};

use crate::compare::Ranking;
use crate::compare::{CellState, Verdict};
use crate::model::Checkpoint;
use crate::session::{Command, Focus, Needs, Snapshot, Stop, TokenView, Wanted};
use crate::tui::kinds::PaneKind;
use crate::tui::layout::{SplitId, Splits, Wish};
use crate::tui::views::{RowsOf, View};

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    snapshot: Arc<Snapshot>,
    rows: Rows,
    marks: Vec<Folded>,
    axis: Vec<Slot>,
    cursor: Cursor,
    /// What scrolled panes are centred on: the cursor, except that a click leaves them where they are.
    anchor: Cursor,
    view: View,
    overlay: Overlay,
    pane: PaneKind,
    splits: Splits,
    /// The split that the mouse holds.
    dragged: Option<SplitId>,
    scroll: [u16; PaneKind::ALL.len()],
    fit: bool,
    following: bool,
    /// Whether the first divergence may still move the cursor: until the user does.
    leads: bool,
    led_to: Option<(u32, Checkpoint)>,
    history: History,
    message: Option<Message>,
    /// Where the cursor goes once the run has got so far.
    awaited: Option<Cursor>,
    focus: Option<Arc<Focus>>,
    asked: Option<Wanted>,
    ranking: Ranking,
    lists: Lists,
    rates: Rates,
    /// Cells of operations that a diagnosis calls faulty.
    faulty: FaultyCells,
    prepared: Prepared,
    effects: Vec<Effect>,
    /// What can be asked for by name.
    commands: Arc<[Entry]>,
    /// Lines of the command line, the newest last; and how many of them were typed on this screen.
    typed_before: Vec<String>,
    typed_here: usize,
    /// The last search, and what of it was gone to last.
    searched: Option<(String, overlay::search::Hit)>,
    bookmarks: Bookmarks,
    breakpoints: Vec<Stop>,
    /// While the next useful key is suggested: what was asked for before.
    used: Option<HashSet<Discriminant<Action>>>,
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
            overlay: Overlay::None,
            pane: View::Overview.first_pane(),
            splits: Splits::new(),
            dragged: None,
            scroll: [0; PaneKind::ALL.len()],
            fit: false,
            following: true,
            leads: true,
            led_to: None,
            history: History::default(),
            message: None,
            awaited: None,
            focus: None,
            asked: None,
            ranking: Ranking::default(),
            lists: Lists::default(),
            rates: Rates::default(),
            faulty: FaultyCells::new(),
            prepared: Prepared::default(),
            effects: Vec::new(),
            commands: Arc::new([]),
            typed_before: Vec::new(),
            typed_here: 0,
            searched: None,
            bookmarks: Bookmarks::new(),
            breakpoints: snapshot.stepping.breakpoints.clone(),
            used: None,
            snapshot: Arc::clone(&snapshot),
        };
        app.rates.take_in(&snapshot.records);
        app.take_in(snapshot);
        app
    }

    /// Shows a newer snapshot. Says whether it differs from the last one in anything that is shown.
    pub fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) -> bool {
        self.rates.take_in(&snapshot.records);
        let shows_records = self.view == View::Records;
        if looks_the_same(&self.snapshot, &snapshot)
            && !(shows_records && self.snapshot.records.seen != snapshot.records.seen)
        {
            self.snapshot = snapshot;
            return false;
        }
        if snapshot.message != self.snapshot.message
            && let Some(text) = &snapshot.message
        {
            self.tell(text.clone(), false);
        }
        self.stepped(&snapshot);
        self.take_in(snapshot);
        true
    }

    /// Takes over what a newer snapshot says of stepping: the breakpoints, and why a run paused.
    fn stepped(&mut self, newer: &Snapshot) {
        let before = Arc::clone(&self.snapshot.stepping);
        if before.breakpoints != newer.stepping.breakpoints {
            self.breakpoints.clone_from(&newer.stepping.breakpoints);
        }
        if before.stopped != newer.stepping.stopped
            && let Some((position, why)) = &newer.stepping.stopped
        {
            self.tell(why.clone(), false);
            // What a run was ended for is looked at, unless the cursor is there by itself or something
            // is being typed.
            if !self.following && self.place() != Place::Prompt {
                self.history.jump(self.cursor);
                self.cursor.position = *position;
                self.anchor = self.cursor;
            }
        }
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
            self.marks.push(kept.unwrap_or_else(|| Folded::new(Arc::clone(column))));
        }
        self.axis = axis(&snapshot);
        if let Some(focus) = &snapshot.focus
            && !self.focus.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, focus))
        {
            self.focus = Some(Arc::clone(focus));
            self.prepared.forget();
        }
        self.lists.take_in(&self.snapshot, &snapshot);
        if !same_diagnosis(&self.snapshot.diagnosis, &snapshot.diagnosis) || self.faulty.is_empty() {
            self.faulty = faulty_cells(&snapshot);
        }
        self.snapshot = snapshot;
        let before = self.cursor;
        self.lead();
        self.clamp();
        self.arrive();
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
            let shows = |folded: &&Folded| folded.marks(&self.rows).all.shade != crate::palette::Shade::Empty;
            if let Some(newest) = self.marks.iter().rev().find(shows) {
                self.cursor.position = newest.column.position;
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

    /// Shows a line to the user.
    pub fn tell(&mut self, text: impl Into<String>, is_error: bool) {
        self.message = Some(Message { text: text.into(), is_error });
    }

    /// What the actions since the last call ask of the outside.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What the screen shows of the place under the cursor.
    fn wanted(&self) -> Wanted {
        let Cursor { position, checkpoint, .. } = self.looked_at();
        let shows = self.view.info().shows;
        let needs = Needs { layers: shows.layers, scores: shows.scores, ranking: self.ranking };
        Wanted { position, checkpoint, needs }
    }

    /// The cell whose values are wanted: the cursor's, or that of the chosen finding while those are listed.
    fn looked_at(&self) -> Cursor {
        let chosen = (self.view == View::Garbage).then(|| self.target(PaneKind::Findings)).flatten();
        chosen.unwrap_or(self.cursor)
    }

    /// The values of this cell, if they are those that were read last.
    pub fn values_at(&self, position: u32, checkpoint: Checkpoint) -> Option<&Focus> {
        self.focus.as_deref().filter(|f| (f.position, f.checkpoint) == (position, checkpoint))
    }

    /// What is to be read for the screen, if it was not asked for yet.
    pub fn wanted_focus(&self) -> Option<Command> {
        let wanted = self.wanted();
        let there = !self.axis.is_empty() && !self.rows.checkpoints().is_empty();
        (there && self.asked != Some(wanted)).then_some(Command::Focus(wanted))
    }

    /// Remembers that [`App::wanted_focus`] was sent.
    pub fn asked_for_focus(&mut self) {
        self.asked = Some(self.wanted());
    }

    /// Whether what was asked for last is here, as far as there is such a thing.
    pub fn is_answered(&self) -> bool {
        self.asked.is_none_or(|asked| self.focus.as_deref().is_some_and(|focus| focus.wanted == asked))
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

    /// What panes have folded of the values that [`App::shown`] gives.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Values of the tensor under the cursor.
    pub fn channels(&self) -> u32 {
        let len =
            |tensor: &Option<crate::trace::Tensor>| tensor.as_ref().map_or(0, |t| t.values.len() as u32);
        self.shown().any().map_or(0, |f| len(&f.reference).max(len(&f.candidate)))
    }

    /// By what the most likely tokens are ordered.
    pub fn ranking(&self) -> Ranking {
        self.ranking
    }

    /// How quickly records arrive.
    pub fn rates(&self) -> &Rates {
        &self.rates
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

    /// What is looked at.
    pub fn view(&self) -> View {
        self.view
    }

    /// What lies over the view.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Where a key would act.
    pub fn place(&self) -> Place {
        self.overlay.place(self.view)
    }

    /// What the screen is to be laid out by.
    pub fn wish(&self) -> Wish<'_> {
        Wish { view: self.view, focus: self.pane, rows: self.map_rows().len(), splits: &self.splits }
    }

    /// The split that the mouse holds.
    pub fn dragged(&self) -> Option<SplitId> {
        self.dragged
    }

    /// The focused pane.
    pub fn pane(&self) -> PaneKind {
        self.pane
    }

    /// Lines by which a pane is scrolled; drawing limits it to what there is.
    pub fn scroll(&self, pane: PaneKind) -> u16 {
        self.scroll[pane.index()]
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

    /// Every checkpoint of the session, in order of execution.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        self.rows.checkpoints()
    }

    /// What can be asked for by name.
    pub fn commands(&self) -> &[Entry] {
        &self.commands
    }

    /// Takes what can be asked for by name.
    pub fn set_commands(&mut self, commands: Arc<[Entry]>) {
        self.commands = commands;
    }

    /// Whether the next useful key is suggested.
    pub fn hints(&self) -> bool {
        self.used.is_some()
    }

    /// Suggests the next useful key from now on, or does not.
    pub fn set_hints(&mut self, hints: bool) {
        self.used = hints.then(HashSet::new);
    }

    /// Whether something like `action` was asked for since hints are shown.
    pub fn has_used(&self, action: &Action) -> bool {
        self.used.as_ref().is_some_and(|used| used.contains(&discriminant(action)))
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
        self.marks.get(slot.column?).map(|folded| folded.marks(&self.rows))
    }

    /// The marks of a position.
    pub fn marks(&self, position: u32) -> Option<&ColumnMarks> {
        let at = self.marks.binary_search_by_key(&position, |m| m.column.position).ok()?;
        Some(self.marks[at].marks(&self.rows))
    }

    /// The state of the cell under the cursor.
    pub fn cell(&self) -> Option<CellState> {
        self.marks(self.cursor.position)?.column.cell(self.cursor.checkpoint).map(|c| c.state)
    }

    /// The map's rows in order of execution: layers, or the checkpoints of the cursor's layer.
    pub fn map_rows(&self) -> Vec<Row> {
        match self.view.info().rows {
            RowsOf::Layers => self.rows.overview().to_vec(),
            RowsOf::Checkpoints => {
                self.rows.group(self.cursor.checkpoint).iter().copied().map(Row::Single).collect()
            }
            RowsOf::Site => self.rows.alike(self.cursor.checkpoint).into_iter().map(Row::Single).collect(),
        }
    }

    /// Every row that there is.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The look of one cell of the map; `index` is the row's in [`App::map_rows`].
    pub fn mark(&self, slot: Slot, index: usize, row: Row) -> Mark {
        let Some(marks) = self.slot_marks(slot) else { return Mark::default() };
        let mark = match (self.view.info().rows, row) {
            (RowsOf::Layers, _) => marks.rows.get(index).copied().unwrap_or_default(),
            (_, Row::Single(c)) => marks.column.cell(c).map(|c| Mark::of(&c.state)).unwrap_or_default(),
            (_, Row::Layer(_)) => Mark::default(),
        };
        let first = self.first().is_some_and(|(p, c)| p == slot.position && row.contains(c));
        let faulty = self.faulty.contains(&(slot.position, row));
        Mark { first, origin: mark.origin || first, faulty, ..mark }
    }

    /// Where the runs first part, according to the verdict.
    pub fn first(&self) -> Option<(u32, Checkpoint)> {
        match &*self.snapshot.verdict {
            Verdict::Diverged { first, .. } => Some((first.position, first.checkpoint)),
            _ => None,
        }
    }
}
