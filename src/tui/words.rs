//! Short words and signs that the screen and the plain lines share; sentences are in [`wording`].

use crate::compare::Verdict;
use crate::session::{RunState, SideStatus, SourceState};
use crate::trace::Notes;
use crate::tui::theme::Role;
use crate::wording::{self, Tone};

/// Positions there are, of how many: `41/64`.
pub fn count(status: &SideStatus) -> String {
    match status.expected {
        Some(expected) => format!("{}/{expected}", status.positions),
        None => status.positions.to_string(),
    }
}

/// A source's state as a sign.
pub fn sign(state: &SourceState) -> char {
    match state {
        SourceState::Waiting => '○',
        SourceState::Live => '●',
        SourceState::Ready => '◆',
        SourceState::Stalled(_) => '◌',
        SourceState::Ended => '✓',
        SourceState::Failed(_) => '✗',
    }
}

/// What the engines are doing.
pub fn run(state: RunState, step: u32) -> String {
    match state {
        RunState::Paused => format!("▮▮ paused · step {step}"),
        RunState::Running => format!("▶ running · step {step}"),
        RunState::Finished => format!("■ finished · step {step}"),
        RunState::Static => "two traces".to_owned(),
    }
}

/// A verdict in a word or two, with what its colour says.
pub fn label(verdict: &Verdict) -> (&'static str, Role) {
    match verdict {
        Verdict::Pending => ("… pending", Role::Dim),
        Verdict::DifferentComputation { .. } => ("≠ not the same computation", Role::Caution),
        Verdict::Instrument { .. } => ("⚑ instrument", Role::Caution),
        Verdict::Inconclusive { .. } => ("? inconclusive", Role::Caution),
        Verdict::WithinNoise { .. } => ("✓ within noise", Role::Good),
        Verdict::Diverged { .. } => ("▲ DIVERGED", Role::Bad),
    }
}

/// The role of a tone.
pub fn role(tone: Tone) -> Role {
    match tone {
        Tone::Good => Role::Good,
        Tone::Caution => Role::Caution,
        Tone::Bad => Role::Bad,
        Tone::Plain => Role::Text,
    }
}

/// `llama.cpp (CPU)`, or that nobody has said who it is.
pub fn who(status: &SideStatus) -> String {
    let who = wording::engine(status);
    if who.is_empty() { "unknown".to_owned() } else { who }
}

/// What was odd about a trace, if anything.
pub fn notes(side: &str, notes: &Notes) -> Option<String> {
    let odd: Vec<String> = [
        (notes.skipped_count, "lines skipped"),
        (notes.duplicates, "duplicate records"),
        (notes.foreign.values().sum(), "records of unknown checkpoints"),
        (notes.waiting, "records whose values are not there"),
        (notes.partial, "partial records"),
        (notes.restarts, "restarts of the file"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    if odd.is_empty() {
        return None;
    }
    let first = notes.skipped.first().map(|(line, why)| format!(" (line {line}: {why})")).unwrap_or_default();
    Some(format!("{side}'s trace: {}{first}", odd.join(", ")))
}
