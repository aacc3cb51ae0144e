//! Stepping: what commands ask for, and the conditions that end a run.

use std::sync::Arc;

use super::super::driver::Driver;
use super::super::plan::Goal;
use super::super::stop::Seen;
use super::super::{Feed, RunState, Stepping, Stop, Which};
use super::State;
use crate::compare::Verdict;
use crate::trace::Store;
use crate::wording;

impl State {
    /// Computes one more position.
    pub(super) fn step(&mut self) {
        let Some(next) = self.engines().map(Driver::ordered).min() else {
            self.message = Some("both sides are traces: there is no engine to step".into());
            return;
        };
        self.begin(None);
        let next = self.catching_up.as_ref().map_or(next, |c| next.max(c.to));
        self.go_to(next + 1);
    }

    /// Computes until told otherwise, or until `until` is met.
    pub(super) fn run_on(&mut self, until: Option<Stop>) {
        match (&until, self.run_state()) {
            (Some(Stop::Position(position)), state) if state != RunState::Static => {
                let position = *position;
                if position < self.breaks.checked {
                    self.begin(None);
                    self.go_to(position + 1);
                    return self.say_stopped(position, format!("went back to position {position}"));
                }
            }
            (Some(Stop::Divergence), state) if state != RunState::Static && self.breaks.parted => {
                if let Verdict::Diverged { first, .. } = &*self.comparison.verdict() {
                    let place = wording::place(first.position, first.checkpoint);
                    let text = format!(
                        "the runs part already: {place}; `severity 1` finds the next position beyond noise"
                    );
                    return self.say_stopped(first.position, text);
                }
            }
            // Two traces are there: a condition looks for its next position.
            (Some(_), RunState::Static) => {
                let from = self.breaks.stopped.as_ref().map_or(0, |(position, _)| position + 1);
                self.breaks.back(from, &Verdict::Pending);
            }
            _ => {}
        }
        if let (Some(until), RunState::Finished) = (&until, self.run_state()) {
            let text = match self.failed() {
                Some(which) => format!("the {which} failed; start it anew to look for `{until}`"),
                None => format!("everything is computed: step back first to look for `{until}`"),
            };
            return self.say_stopped(self.breaks.checked.saturating_sub(1), text);
        }
        self.begin(until);
        self.goal = Goal::Unlimited;
    }

    fn failed(&self) -> Option<Which> {
        Which::BOTH.into_iter().find(|&which| self.side(which).has_failed())
    }

    fn say_stopped(&mut self, position: u32, text: String) {
        self.breaks.stop(position, text.clone());
        self.message = Some(text);
    }

    pub(super) fn pause(&mut self) {
        self.breaks.until = None;
        self.go_to(self.engines().map(Driver::ordered).max().unwrap_or(0));
    }

    /// Forgets the newest position.
    pub(super) fn back(&mut self) {
        self.begin(None);
        let newest = self.engines().map(Driver::ordered).max().unwrap_or(0);
        self.go_to(newest.saturating_sub(1));
    }

    fn begin(&mut self, until: Option<Stop>) {
        (self.breaks.until, self.breaks.stopped) = (until, None);
    }

    /// Has engines stop at this number of positions, or go back to it.
    fn go_to(&mut self, positions: u32) {
        if self.engines().next().is_none() {
            return;
        }
        self.goal = Goal::Positions(positions);
        self.breaks.back(positions, &self.comparison.verdict());
        if let Some(catching_up) = &mut self.catching_up {
            catching_up.to = positions.min(catching_up.to);
        }
    }

    pub(super) fn limit_speed(&mut self, speed: Option<f32>) {
        if !self.tempo.set(speed) {
            self.message = Some("a speed is a number of positions a second, above 0".into());
            return;
        }
        let replays = [&self.reference, &self.candidate].map(|side| side.limit_replay(speed));
        if self.engines().next().is_none() && replays == [false, false] {
            self.message =
                Some("both traces are followed as they grow; --speed at the start holds them back".into());
        }
    }

    /// Changes who chooses the tokens. What was computed stays; tokens of their own that engines were
    /// given are taken back where they are forced again.
    pub(super) fn feed_by(&mut self, feed: Feed) {
        self.feed = feed;
        self.breaks.stopped = None;
        if feed == Feed::Free {
            let positions: Vec<u32> = self.reference.store().positions().collect();
            let says = !self.plan.is_empty()
                || positions.iter().any(|&p| self.reference.store().token(p).is_some_and(|t| !t.from_prompt));
            let text = "every side goes on with its own tokens";
            let unknown = "the trace does not say where its prompt ends: every token of it counts as prompt";
            self.message = Some(if says || positions.is_empty() { text } else { unknown }.into());
            return;
        }
        for which in Which::BOTH {
            let Some(engine) = self.side(which).engine_ref() else { continue };
            let fed = engine.fed().iter().zip(0..);
            let mut other = fed.filter(|&(&id, p)| self.forced(p).is_some_and(|token| token.id != id));
            if let Some((_, position)) = other.next() {
                self.redo[which.index()] = Some(position);
                self.breaks.back(position, &self.comparison.verdict());
            }
        }
        self.message = Some("both sides get the reference's tokens".into());
    }

    /// Looks at newly complete positions in order, and ends the run where a condition holds. Says
    /// whether it did, or something else that is to be told.
    pub(super) fn look_for_stops(&mut self) -> bool {
        let Some(computed) = self.computed() else { return false };
        let caught_up = self.catch_up();
        let undriven = self.engines().next().is_none();
        // What is not judged yet may hold what ends the run.
        if self.is_settling_due() && !self.settle() {
            return caught_up;
        }
        loop {
            let columns = self.comparison.columns();
            let next = columns.partition_point(|column| column.position < self.breaks.checked);
            let Some(position) = columns.get(next).map(|column| column.position) else { break };
            let is_due = self.due.first().is_some_and(|&due| due <= position);
            if position >= computed || is_due || !self.is_done_with(position) {
                break;
            }
            // Nothing pauses two traces: the first stop stands until it is asked for the next.
            if undriven && self.breaks.stopped.is_some() {
                break;
            }
            let reason = self.condition(position).filter(|_| self.breaks.any());
            // It has to hold also after all positions were looked at together.
            if reason.is_some() && !self.comparison.has_settled(position) {
                if self.settle() {
                    continue;
                }
                break;
            }
            self.breaks.checked = position + 1;
            let verdict = self.comparison.verdict();
            self.breaks.parted =
                matches!(&*verdict, Verdict::Diverged { first, .. } if first.position <= position);
            if let Some(reason) = reason {
                self.stop(position, &reason);
                return true;
            }
        }
        self.give_up() || caught_up
    }

    /// Positions that every engine has computed and is not to forget; nothing while their traces are not
    /// read that far.
    fn computed(&self) -> Option<u32> {
        let mut computed = match self.goal {
            Goal::Positions(goal) => goal,
            Goal::Unlimited => u32::MAX,
        };
        for which in Which::BOTH {
            let side = self.side(which);
            let Some(engine) = side.engine_ref() else { continue };
            if side.is_behind() {
                return None;
            }
            let redo = self.redo[which.index()].unwrap_or(u32::MAX);
            computed = computed.min(engine.computed()).min(redo);
        }
        // Nothing that commands say changes two traces.
        Some(if self.engines().next().is_some() { computed } else { u32::MAX })
    }

    /// Whether both sides have brought what they have to bring there.
    fn is_done_with(&self, position: u32) -> bool {
        Which::BOTH.into_iter().map(|w| self.side(w)).all(|s| s.store().is_complete(position) || s.is_over())
    }

    fn condition(&self, position: u32) -> Option<String> {
        let columns = self.comparison.columns();
        let at = columns.binary_search_by_key(&position, |column| column.position).ok()?;
        let text = |store: &Store| {
            let token = store.token(position)?;
            token.piece.clone().or_else(|| self.words.piece(token.id))
        };
        self.breaks.holds(&Seen {
            column: &columns[at],
            verdict: &self.comparison.verdict(),
            parted: self.breaks.parted,
            texts: [text(self.reference.store()), text(self.candidate.store())],
        })
    }

    fn stop(&mut self, position: u32, reason: &str) {
        // Who steps by hand may be further already, and stays there.
        if self.engines().next().is_some() && self.goal == Goal::Unlimited {
            self.goal = Goal::Positions(position + 1);
        }
        self.breaks.stop(position, reason.to_owned());
        self.message = Some(format!("stopped at position {position}: {reason}"));
    }

    /// Ends a run whose condition is not met by anything that there is.
    fn give_up(&mut self) -> bool {
        let over = match self.run_state() {
            RunState::Finished => true,
            RunState::Static => self.reference.is_over() && self.candidate.is_over(),
            RunState::Running | RunState::Paused => false,
        };
        let Some(until) = self.breaks.until.clone().filter(|_| over) else { return false };
        let Some(last) = self.comparison.columns().last().map(|column| column.position) else { return false };
        // Seen together, positions may say what none said by itself.
        if !self.due.is_empty() || !self.settle() {
            return false;
        }
        if let Some(reason) = self.condition(last).filter(|_| until == Stop::Divergence) {
            self.stop(last, &reason);
        } else {
            let why =
                self.failed().map_or("everything is computed".into(), |which| format!("the {which} failed"));
            self.say_stopped(last, format!("{why}, and `{until}` was not met"));
        }
        true
    }

    /// The stepping part of a snapshot; the same object as long as it says the same.
    pub(super) fn refresh_stepping(&mut self) {
        let stepping = Stepping {
            until: self.breaks.until.clone(),
            breakpoints: self.breaks.points.clone(),
            speed: self.tempo.speed(),
            feed: self.feed,
            stopped: self.breaks.stopped.clone(),
            fork: self.tokens.iter().find(|t| t.candidate.is_some()).map(|t| t.position),
            changes: self.setup.changes(&self.start),
        };
        if *self.stepping != stepping {
            self.stepping = Arc::new(stepping);
        }
    }
}
