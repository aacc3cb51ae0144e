//! What the state of a side is called.

use super::snapshot::{SideStatus, SourceState};
use crate::text::safe;
use crate::wording::Tone;

/// State of a source: `live 41/64`, `stalled for 12 s at 41`.
pub fn state(side: &SideStatus) -> String {
    let count = match side.expected {
        Some(expected) => format!("{}/{expected}", side.positions),
        None => side.positions.to_string(),
    };
    match &side.state {
        SourceState::Waiting => "waiting for the first record".to_owned(),
        SourceState::Live => format!("live {count}"),
        SourceState::Ready => format!("ready {count}"),
        SourceState::Stalled(time) => format!("stalled for {} s at {count}", time.as_secs()),
        SourceState::Ended => format!("ended {count}"),
        SourceState::Failed(why) => format!("failed: {}", safe(why)),
    }
}

/// Tone of a source's state.
pub fn state_tone(state: &SourceState) -> Tone {
    match state {
        SourceState::Live | SourceState::Ready | SourceState::Ended => Tone::Good,
        SourceState::Waiting | SourceState::Stalled(_) => Tone::Caution,
        SourceState::Failed(_) => Tone::Bad,
    }
}

/// Who computed a side: `llama.cpp (CPU)`.
pub fn engine(side: &SideStatus) -> String {
    let team = safe(&side.team);
    if side.backend.is_empty() { team.into_owned() } else { format!("{team} ({})", safe(&side.backend)) }
}
