//! What the comparison found in either run alone: garbage, by side and class.

use std::collections::BTreeMap;

use crate::compare::Comparison;
use crate::document::{Column, Table, Value};
use crate::garbage::{Blame, Finding};
use crate::wording::Tone;

/// Findings at least this sure are called bad; the others are worth a look.
const SURE: f32 = 0.5;

struct Row<'a> {
    positions: u64,
    first: u32,
    finding: &'a Finding,
}

/// One row a side and class.
pub(super) fn table(comparison: &Comparison) -> Table {
    let mut rows: BTreeMap<(&str, &str), Row<'_>> = BTreeMap::new();
    for column in comparison.columns() {
        let sides = [("reference", &column.garbage_reference), ("candidate", &column.garbage_candidate)];
        for (side, findings) in sides {
            let mut seen: Vec<&str> = Vec::new();
            for finding in findings {
                if seen.contains(&finding.class) {
                    continue;
                }
                seen.push(finding.class);
                rows.entry((side, finding.class)).and_modify(|row| row.positions += 1).or_insert(Row {
                    positions: 1,
                    first: column.position,
                    finding,
                });
            }
        }
    }
    let columns = vec![
        Column::new("side", "side"),
        Column::new("class", "class"),
        Column::new("blame", "whose"),
        Column::new("positions", "positions"),
        Column::new("first_position", "first at"),
        Column::new("checkpoint", "checkpoint"),
        Column::new("confidence", "sure"),
        Column::new("evidence", "evidence at the first"),
    ];
    let mut table = Table::new("garbage", columns);
    for ((side, class), row) in rows {
        let (blame, tone) = match row.finding.blame {
            Blame::Engine => ("the engine's", Tone::Bad),
            Blame::Instrument if row.finding.confidence > SURE => ("the logger's", Tone::Bad),
            Blame::Instrument => ("the logger's", Tone::Caution),
            Blame::Nobody => ("nobody's", Tone::Plain),
        };
        table.row(vec![
            side.into(),
            Value::from(class).toned(tone),
            blame.into(),
            row.positions.into(),
            row.first.into(),
            row.finding.checkpoint.to_string().into(),
            Value::Percent(row.finding.confidence.into()),
            row.finding.evidence.clone().into(),
        ]);
    }
    table
}
