//! Orders to engines: which position comes next, with which token, and when.

use std::time::Instant;

use super::super::driver::Driver;
use super::super::plan::Goal;
use super::super::side::Side;
use super::super::{Feed, RunState, Which};
use super::State;
use crate::engine::record::argmax;
use crate::engine::worker::Graft;
use crate::model::Checkpoint;
use crate::trace::{Store, Tensor, Token};

/// What an idle engine is to do.
enum Next {
    Rewind(u32),
    Step(Token, Vec<Graft>),
}

impl State {
    pub(super) fn side(&self, which: Which) -> &Side {
        match which {
            Which::Reference => &self.reference,
            Which::Candidate => &self.candidate,
        }
    }

    pub(super) fn side_mut(&mut self, which: Which) -> &mut Side {
        match which {
            Which::Reference => &mut self.reference,
            Which::Candidate => &mut self.candidate,
        }
    }

    pub(super) fn engines(&self) -> impl Iterator<Item = &Driver> {
        [&self.reference, &self.candidate].into_iter().filter_map(Side::engine_ref)
    }

    /// Gives idle engines their next order. Says whether anything changed.
    pub(super) fn drive(&mut self) -> bool {
        if let Some((position, token)) = self.generated() {
            self.plan.extend(position, token);
        }
        let mut ordered = false;
        for which in Which::BOTH {
            let Some(next) = self.next_order(which) else { continue };
            let Some(engine) = self.side_mut(which).driver() else { continue };
            match next {
                Next::Rewind(position) => engine.rewind(position),
                Next::Step(token, grafts) => engine.step(token, grafts),
            }
            ordered = true;
        }
        ordered
    }

    fn next_order(&mut self, which: Which) -> Option<Next> {
        let position = self.side(which).engine_ref().filter(|e| e.is_idle())?.ordered();
        if let Some(redo) = self.redo[which.index()].take()
            && redo < position
        {
            return Some(Next::Rewind(redo));
        }
        if let Goal::Positions(goal) = self.goal
            && position > goal
        {
            return Some(Next::Rewind(goal));
        }
        let again = self.is_again(which, position);
        // What was computed may end the run: it is compared first.
        let runs = self.goal == Goal::Unlimited && !again;
        let waits = runs && self.breaks.any() && position > self.breaks.checked;
        if waits || !self.goal.includes(position) {
            return None;
        }
        let token = self.token_for(which, position)?;
        let grafts = match which {
            Which::Reference => Vec::new(),
            Which::Candidate => self.grafts(position)?,
        };
        (!runs || self.tempo.lets(position, Instant::now())).then_some(Next::Step(token, grafts))
    }

    /// Whether the candidate only comes back to where it was.
    fn is_again(&self, which: Which, position: u32) -> bool {
        which == Which::Candidate && self.catching_up.as_ref().is_some_and(|c| position < c.to)
    }

    /// The token that the first driven engine would choose next, and its position.
    fn generated(&self) -> Option<(u32, u32)> {
        let which = Which::BOTH.into_iter().find(|&w| self.side(w).engine_ref().is_some())?;
        let engine = self.side(which).engine_ref()?;
        let position = engine.ordered();
        if !engine.is_idle() || !self.plan.wants(position) {
            return None;
        }
        self.choice(which, position).map(|token| (position, token))
    }

    /// The token that an engine chooses for `position`, once it has computed the one before.
    fn choice(&self, which: Which, position: u32) -> Option<u32> {
        let side = self.side(which);
        side.engine_ref()?.choice(position).or_else(|| {
            // A program need not say what it would choose; its logits do.
            let mut logits = Tensor::default();
            side.store().read(position.checked_sub(1)?, Checkpoint::LOGITS, &mut logits).ok()?;
            (!logits.values.is_empty()).then(|| argmax(&logits.values))
        })
    }

    /// What an engine is given at `position`, if that is known by now.
    pub(super) fn token_for(&self, which: Which, position: u32) -> Option<Token> {
        match self.feed {
            Feed::Reference => self.forced(position),
            Feed::Free => {
                let choice = || self.choice(which, position);
                self.plan.own_token(position, &self.traces(), &self.words, choice)
            }
        }
    }

    /// What both sides are given at `position` by teacher forcing.
    pub(super) fn forced(&self, position: u32) -> Option<Token> {
        self.plan.token(position, &self.traces(), &self.words)
    }

    /// Runs that nobody here drives.
    fn traces(&self) -> Vec<&Store> {
        let sides = [&self.reference, &self.candidate].into_iter();
        sides.filter(|side| side.engine_ref().is_none()).map(Side::store).collect()
    }

    pub(super) fn run_state(&self) -> RunState {
        if self.engines().next().is_none() {
            return RunState::Static;
        }
        let traces_over =
            Which::BOTH.into_iter().map(|w| self.side(w)).all(|s| s.engine_ref().is_some() || s.is_over());
        let finished = Which::BOTH.into_iter().all(|which| {
            self.side(which).engine_ref().is_none_or(|engine| {
                let next = || self.token_for(which, engine.ordered());
                engine.failure().is_some()
                    || (engine.is_idle() && self.redo[which.index()].is_none() && next().is_none())
            })
        });
        match self.goal {
            _ if finished && traces_over => RunState::Finished,
            Goal::Unlimited => RunState::Running,
            Goal::Positions(_) => RunState::Paused,
        }
    }
}
