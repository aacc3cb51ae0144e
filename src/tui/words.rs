//! Short words and signs that the screen and the plain lines share; sentences are in [`crate::wording`].

use crate::compare::{Ranking, Verdict};
use crate::figures;
use crate::session::status;
use crate::session::{DiagnosisState, Feed, RunState, SideStatus, SourceState, Stepping, Which};
use crate::text::safe_short;
use crate::trace::Notes;
use crate::tui::theme::Role;
use crate::wording::Tone;

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

/// How a session steps, where it does more than step: the most telling first.
pub fn stepping(stepping: &Stepping) -> Vec<(String, Role)> {
    let mut out = Vec::new();
    if let Some((position, why)) = &stepping.stopped {
        out.push((format!("stopped at {position}: {}", safe_short(why, 60)), Role::Caution));
    }
    if let Some(stop) = &stepping.until {
        out.push((format!("until {}", safe_short(&stop.to_string(), 40)), Role::Accent));
    }
    if !stepping.changes.is_empty() {
        let changes: Vec<String> = stepping.changes.iter().map(|c| safe_short(c, 40)).collect();
        out.push((format!("what if: {}", changes.join(", ")), Role::Caution));
    }
    match (stepping.fork, stepping.feed) {
        (Some(at), _) => out.push((format!("fork at {at}"), Role::Bad)),
        (None, Feed::Free) => out.push(("free running".to_owned(), Role::Accent)),
        (None, Feed::Reference) => {}
    }
    if let Some(speed) = stepping.speed {
        out.push((format!("{speed}/s"), Role::Dim));
    }
    match stepping.breakpoints.len() {
        0 => {}
        1 => out.push(("1 breakpoint".to_owned(), Role::Dim)),
        n => out.push((format!("{n} breakpoints"), Role::Dim)),
    }
    out
}

/// A diagnosis in a line, where there is one or one is being made.
pub fn diagnosis(state: &DiagnosisState) -> Option<(String, Role)> {
    let share = |done: u64, of: u64| figures::percent(done as f64 / of as f64);
    match state {
        DiagnosisState::NotAsked | DiagnosisState::Cancelled => None,
        DiagnosisState::Running { done, of, .. } if *of > 0 => {
            Some((format!("diagnosing: {}", share(*done, *of)), Role::Accent))
        }
        DiagnosisState::Running { .. } => Some(("diagnosing …".to_owned(), Role::Accent)),
        DiagnosisState::Failed(why) => {
            Some((format!("diagnosis failed: {}", safe_short(why, 200)), Role::Caution))
        }
        DiagnosisState::Done(found) => {
            let sentence = found.sentences.first()?;
            let first = found.faulty.first().map(|f| {
                let kind = f.mistake.as_ref().map(|m| format!(" ({m})")).unwrap_or_default();
                let more = found.faulty.len() - 1;
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(": {}{kind}{more}", f.checkpoint)
            });
            let text = format!("diagnosis: {}{}", sentence.text, first.unwrap_or_default());
            Some((text, role(sentence.tone)))
        }
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

/// By what tokens are ordered.
pub fn ranking(ranking: Ranking) -> &'static str {
    match ranking {
        Ranking::Reference => "the reference's probability",
        Ranking::Candidate => "the candidate's probability",
        Ranking::Difference => "the difference of both probabilities",
    }
}

/// A run in four letters at most, for columns.
pub fn short_side(side: Which) -> &'static str {
    match side {
        Which::Reference => "ref",
        Which::Candidate => "cand",
    }
}

/// The role of a run.
pub fn side_role(side: Which) -> Role {
    match side {
        Which::Reference => Role::Reference,
        Which::Candidate => Role::Candidate,
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
    let who = status::engine(status);
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

/// `17`, `0–63`, `12 of 3–40`: how many, from where to where.
pub fn positions(positions: &[u32]) -> String {
    match positions {
        [] => "-".to_owned(),
        [one] => one.to_string(),
        [first, .., last] if (last - first) as usize + 1 == positions.len() => format!("{first}–{last}"),
        [first, .., last] => format!("{} of {first}–{last}", positions.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_named_briefly() {
        assert_eq!(positions(&[]), "-");
        assert_eq!(positions(&[7]), "7");
        assert_eq!(positions(&[7, 8, 9]), "7–9");
        assert_eq!(positions(&[7, 9, 12]), "3 of 7–12");
    }
}
