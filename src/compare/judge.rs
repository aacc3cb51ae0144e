//! The verdict, in the order of the argument.

use std::sync::Arc;

use super::align::Alignment;
use super::column::{Detail, Presence};
use super::evaluate::Rules;
use super::reading::Tally;
use super::verdict::Coverage;
use super::{CellState, Column, Divergence, Verdict};
use crate::model::Checkpoint;

/// Everything a verdict rests on.
pub(super) struct Case<'a> {
    pub columns: &'a [Arc<Column>],
    pub details: &'a [Detail],
    pub rules: &'a Rules,
    pub alignment: &'a Alignment,
    pub findings: &'a [Tally; 2],
    /// Whether nothing more is expected.
    pub over: bool,
    /// Whether some side has logits.
    pub rows: bool,
}

/// A finding this sure speaks for itself.
const SURE: f32 = 0.9;
/// One that is found in so many rows speaks by its number.
const LIKELY: f32 = 0.6;

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    if let Alignment::Different { evidence } = case.alignment {
        return Verdict::DifferentComputation { evidence: evidence.clone() };
    }
    if let Some(verdict) = instrument(case.findings, case.columns) {
        return verdict;
    }
    let coverage = coverage(case);
    if let Some(first) = first_divergence(case) {
        let beyond = case.details.iter().map(|d| u64::from(d.summary.beyond)).sum();
        return Verdict::Diverged { first, beyond, coverage };
    }
    if case.columns.is_empty() || (coverage.cells == 0 && !case.over) {
        return if case.over && !case.columns.is_empty() {
            inconclusive(case, coverage)
        } else {
            Verdict::Pending
        };
    }
    let worst = case
        .columns
        .iter()
        .zip(case.details)
        .filter_map(|(c, d)| d.summary.worst.map(|(at, severity)| (c.position, at, severity)))
        .max_by(|a, b| a.2.0.total_cmp(&b.2.0));
    if case.over && shortage(case, &coverage).is_some() {
        return inconclusive(case, coverage);
    }
    Verdict::WithinNoise { worst, coverage }
}

pub(super) fn instrument(sides: &[Tally; 2], columns: &[Arc<Column>]) -> Option<Verdict> {
    for (index, (side, tally)) in ["reference", "candidate"].into_iter().zip(sides).enumerate() {
        let mut all =
            tally.all(columns.iter().map(|c| {
                (c.position, if index == 0 { &*c.garbage_reference } else { &*c.garbage_candidate })
            }));
        for (key, together) in tally.together() {
            let stands = all.get(&key).is_none_or(|own| own.0 <= together.0);
            if stands {
                all.insert(key, together);
            }
        }
        let convincing = all.iter().filter(|((_, site), (count, _, finding))| {
            let rows = tally.rows.get(site).copied().unwrap_or(0);
            finding.confidence >= SURE || (finding.confidence >= LIKELY && *count >= 3 && count * 2 >= rows)
        });
        let Some(((class, site), (count, position, finding))) =
            convincing.max_by(|a, b| a.1.2.confidence.total_cmp(&b.1.2.confidence).then(a.1.0.cmp(&b.1.0)))
        else {
            continue;
        };
        let rows = tally.rows.get(site).copied().unwrap_or(0);
        return Some(Verdict::Instrument {
            side,
            evidence: format!(
                "{count} of the {side}'s {rows} record{} of {} show the class {class}, most clearly at position {position}; this is what a logger does, not an engine",
                if rows == 1 { "" } else { "s" },
                site.name()
            ),
            finding: finding.clone(),
        });
    }
    None
}

fn coverage(case: &Case<'_>) -> Coverage {
    let mut c = Coverage::default();
    for detail in case.details {
        let has = detail.sides.map(|s| matches!(s, Presence::Begun | Presence::Complete));
        match (has, detail.sides) {
            ([true, true], _) => c.positions += 1,
            ([true, false], [_, Presence::Absent]) => c.reference_only_positions += 1,
            ([false, true], [Presence::Absent, _]) => c.candidate_only_positions += 1,
            _ => {}
        }
        if has != [true, true] {
            continue;
        }
        c.cells += u64::from(detail.counts.compared);
        c.partial += u64::from(detail.counts.partial);
        c.missing_in_candidate += u64::from(detail.counts.reference_only);
        c.missing_in_reference += u64::from(detail.counts.candidate_only);
        c.unreadable += u64::from(detail.counts.unreadable);
    }
    c
}

fn inconclusive(case: &Case<'_>, coverage: Coverage) -> Verdict {
    let reason = shortage(case, &coverage).unwrap_or_else(|| "nothing was compared".to_owned());
    Verdict::Inconclusive { reason, coverage }
}

/// Why what was compared does not suffice to say that all is well.
fn shortage(case: &Case<'_>, c: &Coverage) -> Option<String> {
    if c.positions == 0 {
        return Some(
            "the two traces have no position in common: record the same tokens with both engines".to_owned(),
        );
    }
    if c.cells == 0 {
        return Some(
            "no checkpoint is in both traces: record the same checkpoints with both engines (`--checkpoints layers` is enough to begin with)"
                .to_owned(),
        );
    }
    if c.unreadable > 0 {
        return Some(format!(
            "{} cells could not be read or have other shapes on the two sides: record them again",
            c.unreadable
        ));
    }
    let logits: Vec<_> = case.columns.iter().filter_map(|col| col.cell(Checkpoint::LOGITS)).collect();
    let compared = logits.iter().filter(|l| matches!(l.state, CellState::Compared { .. })).count();
    if case.rows && compared * 2 < c.positions as usize {
        return Some(format!(
            "the logits could be compared at {compared} of {} positions only: record result_output with both engines",
            c.positions
        ));
    }
    let missing = c.missing_in_candidate + c.missing_in_reference;
    if missing > c.cells {
        return Some(format!(
            "{missing} cells are in one trace only and {} in both: record the same checkpoints with both engines",
            c.cells
        ));
    }
    if c.reference_only_positions > c.positions || c.candidate_only_positions > c.positions {
        return Some(format!(
            "only {} positions are in both traces: record as many with both engines",
            c.positions
        ));
    }
    let [values, promised] = case.details.iter().fold([0_u64; 2], |[values, promised], detail| {
        [values + detail.counts.values[0], promised + detail.counts.values[1]]
    });
    if values * 2 < promised {
        return Some(format!(
            "{values} of {promised} values were recorded, and those agree: what the rest was, nobody knows; record whole rows"
        ));
    }
    None
}

/// The earliest node, in order of execution, at which an error enters; else, where the error grows
/// beyond noise without any node standing out, the first cell beyond it.
fn first_divergence(case: &Case<'_>) -> Option<Divergence> {
    let columns = || case.columns.iter().zip(case.details);
    let by_cell = columns().find_map(|(c, d)| d.summary.origin.map(|at| (c.position, at)));
    let by_evidence = case.rules.entry.as_ref().and_then(|entry| {
        let marked = |state: &CellState| matches!(state, CellState::Compared { origin: true, .. });
        let shown = columns().find(|(c, _)| c.cell(entry.checkpoint).is_some_and(|cell| marked(&cell.state)));
        Some((shown?.0.position, entry.checkpoint))
    });
    let smooth = || columns().find_map(|(c, d)| d.summary.first_beyond.map(|at| (c.position, at)));
    let (position, checkpoint) = match (by_cell, by_evidence) {
        (Some(cell), Some(evidence)) if evidence.1 < cell.1 => evidence,
        (Some(cell), _) => cell,
        (None, Some(evidence)) => evidence,
        (None, None) => smooth()?,
    };
    let (column, detail) = columns().find(|(c, _)| c.position == position)?;
    case.rules.divergence(column, &detail.figures, checkpoint)
}
