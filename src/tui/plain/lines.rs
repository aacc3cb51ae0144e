//! What a snapshot holds, a fact a line.

use crate::compare::{CellState, Column, TopEntry};
use crate::figures;
use crate::session::status;
use crate::session::{Focus, SideStatus, Snapshot, TokenView, Which};
use crate::text::safe;

use crate::tui::app::{Mark, findings};
use crate::tui::words;
use crate::wording;

/// Everything the screen shows of `snapshot`, one fact a line, without control characters.
pub fn lines(snapshot: &Snapshot) -> Vec<String> {
    let mut out = vec![format!("model: {}", snapshot.model)];
    out.extend(standing(snapshot));
    out.extend(snapshot.columns.iter().flat_map(|column| position(snapshot, column)));
    out.extend(snapshot.focus.iter().flat_map(|focus| cell(focus)));
    out.extend(super::diagnosis::lines(&snapshot.diagnosis));
    out.extend(arrived(snapshot));
    out.extend(snapshot.message.iter().map(|message| format!("message: {message}")));
    out.into_iter().map(|line| safe(&line).into_owned()).collect()
}

/// What holds of the whole session at this moment: both sides, the engines, the verdict.
pub(super) fn standing(snapshot: &Snapshot) -> Vec<String> {
    let mut out = vec![
        side("reference", &snapshot.reference),
        side("candidate", &snapshot.candidate),
        // Without the sign, which would be read out.
        format!(
            "engines: {}",
            words::run(snapshot.run, snapshot.step).trim_start_matches(|c: char| !c.is_alphabetic())
        ),
    ];
    out.extend(words::stepping(&snapshot.stepping).into_iter().map(|(text, _)| format!("stepping: {text}")));
    for (i, sentence) in wording::verdict(&snapshot.verdict).iter().enumerate() {
        out.push(format!("{}{}", if i == 0 { "verdict: " } else { "  " }, sentence.text));
    }
    for (name, status) in [("reference", &snapshot.reference), ("candidate", &snapshot.candidate)] {
        out.extend(words::notes(name, &status.notes));
    }
    out
}

fn side(name: &str, status: &SideStatus) -> String {
    let remark = status.remark.as_ref().map(|r| format!(", {r}")).unwrap_or_default();
    format!("{name}: {}, {}{remark}", words::who(status), status::state(status))
}

/// What is known of one position, and the garbage found there.
pub(super) fn position(snapshot: &Snapshot, column: &Column) -> Vec<String> {
    let mut out = vec![compared(snapshot, column)];
    for (side, finding) in findings(column) {
        out.push(format!(
            "garbage: position {}, {side}, {} at {}: {}",
            column.position, finding.class, finding.checkpoint, finding.evidence
        ));
    }
    out
}

fn compared(snapshot: &Snapshot, column: &Column) -> String {
    let token = snapshot.tokens.iter().find(|t| t.position == column.position);
    let own = |t: &TokenView| t.candidate.as_ref().map(|(_, text)| format!(", the candidate's “{text}”"));
    let text = token.map(|t| format!(" “{}”{}", t.text, own(t).unwrap_or_default())).unwrap_or_default();
    let (mut compared, mut beyond, mut missing) = (0u32, 0u32, 0u32);
    let mut worst = None;
    let mut entrances = Vec::new();
    for cell in &column.cells {
        match cell.state {
            CellState::Compared { severity, .. } => {
                compared += 1;
                let mark = Mark::of(&cell.state);
                beyond += u32::from(mark.is_beyond());
                if mark.origin {
                    entrances.push(cell.checkpoint.to_string());
                }
                if worst.is_none_or(|(shade, _, _)| mark.shade > shade) {
                    worst = Some((mark.shade, cell.checkpoint, severity));
                }
            }
            _ => missing += 1,
        }
    }
    let mut facts =
        vec![format!("position {}{text}: {compared} compared, {beyond} beyond noise", column.position)];
    if missing > 0 {
        facts.push(format!("{missing} not comparable"));
    }
    if let Some((_, checkpoint, severity)) = worst {
        facts.push(format!("worst {checkpoint} {} noise", wording::times(severity)));
    }
    if !entrances.is_empty() {
        facts.push(format!("an error enters at {}", entrances.join(", ")));
    }
    facts.extend(column.logits.as_ref().map(wording::logits).unwrap_or_default());
    facts.join(", ")
}

/// The cell under the cursor.
pub(super) fn cell(focus: &Focus) -> Vec<String> {
    let mut out = vec![format!("cell: position {}, {}", focus.position, focus.checkpoint)];
    if let Some(metrics) = &focus.metrics {
        out.push(format!("  {}", wording::cell(metrics, focus.severity).join(", ")));
    }
    let table = |name: &str, entries: &[TopEntry]| -> Option<String> {
        let piece =
            |id: u32| focus.pieces.iter().find(|(i, _)| *i == id).map_or("", |(_, text)| text.as_str());
        let list: Vec<String> = entries
            .iter()
            .map(|e| format!("“{}” {}", piece(e.token), figures::probability(e.probability)))
            .collect();
        (!list.is_empty()).then(|| format!("  {name} expects next: {}", list.join(", ")))
    };
    out.extend(table("reference", &focus.top.reference));
    out.extend(table("candidate", &focus.top.candidate));
    out
}

/// How many records of each run were read.
pub(super) fn arrived(snapshot: &Snapshot) -> Vec<String> {
    let line = |side: Which| format!("records of the {side}: {}", snapshot.records.seen[side.index()]);
    Which::BOTH.map(line).to_vec()
}
