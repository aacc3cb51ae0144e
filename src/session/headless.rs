//! Driving a session without a screen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::compare::Verdict;
use crate::model::Checkpoint;

use super::{Command, RunState, Session, SessionError, Snapshot, SourceState, Wanted};

/// How far a headless session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Positions to compare; `None`: as many as come.
    pub steps: Option<u32>,
    /// Give up when nothing has changed for this long.
    pub patience: Duration,
}

/// Runs the session until both sides are done, the steps are reached, or nothing has happened for
/// too long. Returns the last snapshot.
pub fn run(
    session: &Session,
    limits: Limits,
    progress: impl FnMut(&Snapshot),
) -> Result<Arc<Snapshot>, SessionError> {
    run_by(session, Command::Run, limits, progress)
}

/// As [`run`], by a command of another kind; ends also where a condition stops the session.
pub fn run_by(
    session: &Session,
    command: Command,
    limits: Limits,
    mut progress: impl FnMut(&Snapshot),
) -> Result<Arc<Snapshot>, SessionError> {
    let mut link = session.link();
    let before = Arc::clone(&link.snapshots.borrow().stepping);
    link.commands.blocking_send(command).map_err(|_| gone())?;
    let mut last_change = Instant::now();
    let mut seen = 0;
    loop {
        let snapshot = Arc::clone(&link.snapshots.borrow_and_update());
        progress(&snapshot);
        let compared = snapshot.columns.iter().filter(|c| c.complete).count() as u32;
        let reached = limits.steps.is_some_and(|steps| compared >= steps);
        let stopped = snapshot.stepping.stopped.is_some() && snapshot.stepping != before;
        if reached || stopped || is_done(&snapshot) {
            return Ok(snapshot);
        }
        if snapshot.work != seen {
            (seen, last_change) = (snapshot.work, Instant::now());
        }
        if last_change.elapsed() >= limits.patience {
            return Ok(snapshot);
        }
        if link.snapshots.has_changed().is_err() {
            return Err(gone());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Puts the cursor on a cell and waits until its values are read.
pub fn focus(
    session: &Session,
    position: u32,
    checkpoint: Checkpoint,
) -> Result<Arc<Snapshot>, SessionError> {
    let mut link = session.link();
    link.commands.blocking_send(Command::Focus(Wanted::cell(position, checkpoint))).map_err(|_| gone())?;
    loop {
        let snapshot = Arc::clone(&link.snapshots.borrow_and_update());
        if snapshot.focus.as_ref().is_some_and(|f| (f.position, f.checkpoint) == (position, checkpoint)) {
            return Ok(snapshot);
        }
        if link.snapshots.has_changed().is_err() {
            return Err(gone());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The cell that matters most: where the runs part, else the worst, else the newest logits.
pub fn point_of_interest(snapshot: &Snapshot) -> Option<(u32, Checkpoint)> {
    match &*snapshot.verdict {
        Verdict::Diverged { first, .. } => Some((first.position, first.checkpoint)),
        Verdict::WithinNoise { worst: Some((position, checkpoint, _)), .. } => Some((*position, *checkpoint)),
        _ => snapshot.columns.last().map(|c| (c.position, Checkpoint::LOGITS)),
    }
}

/// Whether nothing more will come.
fn is_done(snapshot: &Snapshot) -> bool {
    let over = |state: &SourceState| matches!(state, SourceState::Ended | SourceState::Failed(_));
    snapshot.revision > 0
        && snapshot.settled
        && (snapshot.run == RunState::Finished
            || (over(&snapshot.reference.state) && over(&snapshot.candidate.state)))
}

fn gone() -> SessionError {
    SessionError::Usage("the session ended unexpectedly".into())
}
