//! Computing the candidate anew with something changed.

use super::super::driver::Driver;
use super::super::plan::Goal;
use super::super::setup::Setup;
use super::super::{Change, Source, Which};
use super::State;
use crate::compare::Verdict;
use crate::engine::request;
use crate::engine::worker::Graft;
use crate::garbage::visible;
use crate::model::Checkpoint;
use crate::trace::Tensor;
use crate::wording;

/// The candidate comes back to where it was.
pub(super) struct CatchUp {
    /// What was changed.
    change: String,
    /// Positions that it had computed.
    pub to: u32,
    /// Whether it was told that it failed on the way.
    failed: bool,
}

impl State {
    /// Goes back and computes the candidate with `change`; then goes on to where it was.
    pub(super) fn rerun(&mut self, change: &Change) {
        if let Err(why) = self.try_rerun(change) {
            self.message = Some(why);
        }
    }

    fn try_rerun(&mut self, change: &Change) -> Result<(), String> {
        let setup = self.setup.with(change, &self.start)?;
        if let Change::Graft { position, checkpoint } = *change {
            self.check_graft(position, checkpoint)?;
        }
        if let Change::Source(Source::Trace(path)) = change
            && !path.is_file()
        {
            return Err(format!("`{change}`: there is no such file, and no engine of that name"));
        }
        let was = self
            .candidate
            .engine_ref()
            .map_or_else(|| self.candidate.store().positions().count() as u32, Driver::ordered);
        let was = self.catching_up.as_ref().map_or(was, |c| was.max(c.to));
        let alive = self.candidate.engine_ref().is_some_and(|engine| engine.failure().is_none());
        match setup.first_other_graft(&self.setup).filter(|_| alive) {
            Some(first) => {
                let redo = &mut self.redo[Which::Candidate.index()];
                *redo = Some(redo.map_or(first, |before| before.min(first)));
            }
            None => self.replace_candidate(&setup, was)?,
        }
        self.setup = setup;
        self.forget_diagnosis();
        self.breaks.stopped = None;
        self.message = Some(format!("{change}: computing the candidate anew"));
        self.catching_up = Some(CatchUp { change: change.to_string(), to: was, failed: false });
        Ok(())
    }

    /// Puts another candidate in the place of the one there is.
    fn replace_candidate(&mut self, setup: &Setup, was: u32) -> Result<(), String> {
        let side =
            self.builder.candidate(setup).map_err(|e| crate::text::safe(&e.to_string()).into_owned())?;
        let reference = self.reference.store();
        let nameless = reference.positions().next().is_some_and(|p| reference.token(p).is_none());
        if side.engine_ref().is_some() && self.plan.is_empty() && nameless {
            self.builder.retire(side);
            return Err(
                "the reference names no tokens, so that there is nothing to compute; start with --prompt"
                    .into(),
            );
        }
        let undriven = self.engines().next().is_none();
        let old = std::mem::replace(&mut self.candidate, side);
        self.builder.retire(old);
        self.redo[Which::Candidate.index()] = None;
        if self.reference.engine_ref().is_none() {
            // The candidate may have chosen them.
            self.plan.forget_generated();
        }
        if undriven && self.goal != Goal::Unlimited {
            self.goal = Goal::Positions(was);
        }
        self.forget_compared();
        self.compare();
        Ok(())
    }

    /// Tells what the change brought, once the candidate is where it was. Says whether it did.
    pub(super) fn catch_up(&mut self) -> bool {
        let Some(CatchUp { change, to, failed }) = &self.catching_up else { return false };
        let (change, to) = (change.clone(), *to);
        let store = self.candidate.store();
        let here = match self.candidate.engine_ref() {
            Some(engine) if engine.failure().is_some() && *failed => return false,
            Some(engine) if engine.failure().is_some() => {
                self.message =
                    Some(format!("{change}: the candidate failed; `undo` goes back to how it was"));
                // Started anew, or undone, it still goes on to where it was.
                self.catching_up = Some(CatchUp { change, to, failed: true });
                return true;
            }
            Some(engine) => {
                let redo = self.redo[Which::Candidate.index()].is_some_and(|redo| redo < engine.ordered());
                let last = to.checked_sub(1).is_none_or(|last| store.is_complete(last));
                let nothing =
                    || engine.is_idle() && self.token_for(Which::Candidate, engine.ordered()).is_none();
                !redo && ((engine.computed() >= to && last) || nothing())
            }
            None => store.has_ended() || store.positions().count() as u32 >= to,
        };
        if !here || self.candidate.is_behind() || !self.due.is_empty() || !self.settle() {
            return false;
        }
        self.catching_up = None;
        self.breaks.parted = matches!(&*self.comparison.verdict(), Verdict::Diverged { first, .. } if first.position < self.breaks.checked);
        let verdict = wording::headline(&self.comparison.verdict()).text;
        self.message = Some(format!("{change}: {verdict}"));
        true
    }

    /// Why the reference's values cannot be had at this cell, as far as is known.
    fn check_graft(&self, position: u32, checkpoint: Checkpoint) -> Result<(), String> {
        request::node(self.builder.graph(), checkpoint).map_err(|e| e.to_string())?;
        if self.reference.store().is_complete(position) {
            self.graft(position, checkpoint)?;
        }
        Ok(())
    }

    /// The reference's values at a cell, as an engine of ours takes them.
    fn graft(&self, position: u32, checkpoint: Checkpoint) -> Result<Graft, String> {
        let mut tensor = Tensor::default();
        let there = self.reference.store().read(position, checkpoint, &mut tensor);
        if !there.map_err(|e| crate::text::safe(&e.to_string()).into_owned())? {
            return Err(format!(
                "the reference has no {checkpoint} at position {position}: nothing to graft"
            ));
        }
        let graph = self.builder.graph();
        let node = graph.node(request::node(graph, checkpoint).map_err(|e| e.to_string())?);
        if node.op.grows() {
            let mut seen = Tensor::default();
            visible(&tensor, position, &mut seen);
            tensor = seen;
        }
        request::graft(node, position as usize, &tensor.values).map_err(|e| e.to_string())?;
        Ok(Graft { checkpoint, values: tensor.values })
    }

    /// What is grafted at `position`; nothing yet while the reference may still bring it. What it
    /// does not bring is not grafted, and said.
    pub(super) fn grafts(&mut self, position: u32) -> Option<Vec<Graft>> {
        let here = self.setup.grafts.iter().filter(|cell| cell.0 == position);
        let cells: Vec<Checkpoint> = here.map(|cell| cell.1).collect();
        let store = self.reference.store();
        if !cells.is_empty() && !store.is_complete(position) && !self.reference.is_over() {
            return None;
        }
        let mut grafts = Vec::new();
        for checkpoint in cells {
            match self.graft(position, checkpoint) {
                Ok(graft) => grafts.push(graft),
                Err(why) => {
                    self.setup.grafts.remove(&(position, checkpoint));
                    self.message = Some(why);
                }
            }
        }
        Some(grafts)
    }
}
