//! A diagnosis, a fact a line.

use crate::session::{Diagnosed, DiagnosisState};
use crate::tui::words;

/// Everything that is known of it; nothing where nobody asked for one.
pub(super) fn lines(state: &DiagnosisState) -> Vec<String> {
    match state {
        DiagnosisState::NotAsked => Vec::new(),
        DiagnosisState::Cancelled => vec!["diagnosis: called off".to_owned()],
        DiagnosisState::Done(found) => of(found),
        DiagnosisState::Running { .. } | DiagnosisState::Failed(_) => {
            words::diagnosis(state).map(|(text, _)| text).into_iter().collect()
        }
    }
}

fn of(found: &Diagnosed) -> Vec<String> {
    let sentences = found.sentences.iter().map(|sentence| format!("diagnosis: {}", sentence.text));
    let mut out: Vec<String> = sentences.collect();
    for side in &found.sides {
        out.push(format!("  {}, {} positions:", side.side, side.positions));
        out.extend(side.sentences.iter().map(|sentence| format!("    {}", sentence.text)));
    }
    for faulty in &found.faulty {
        let mistake = faulty.mistake.as_deref().unwrap_or("unknown");
        let whose = if faulty.instrument { ", the recorder's" } else { "" };
        out.push(format!(
            "faulty: {} of the {}, mistake {mistake}{whose}, positions {}, worst at {}: {}",
            faulty.checkpoint,
            faulty.side,
            words::positions(&faulty.positions),
            faulty.worst_at,
            faulty.sentence
        ));
        out.extend(faulty.evidence.iter().map(|line| format!("    {line}")));
    }
    out
}
