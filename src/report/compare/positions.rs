//! The comparison by position.

use crate::compare::metrics::worse;
use crate::compare::{CellState, Column as Compared, Severity};
use crate::document::{Column, Table, Value};
use crate::model::Checkpoint;
use crate::trace::Store;
use crate::wording::Tone;

use super::Report;

/// Rows at most: a reader looks at the worst.
const MOST: usize = 100;

/// One row a position; of very many the worst ones, in order.
pub(super) fn table(report: &Report<'_>) -> Table {
    let columns = vec![
        Column::new("position", "position"),
        Column::new("token", "token"),
        Column::new("cells", "cells"),
        Column::new("beyond", "beyond noise"),
        Column::new("severity_worst", "worst × noise"),
        Column::new("worst_checkpoint", "worst cell"),
        Column::new("nmse_worst", "NMSE, worst"),
        Column::new("nmse_logits", "NMSE, logits"),
        Column::new("kl", "KL").unit("nats"),
        Column::new("first_token_agrees", "first token agrees"),
    ];
    let mut table = Table::new("positions", columns);
    let all = report.comparison.columns();
    let mut chosen: Vec<usize> = (0..all.len()).collect();
    if all.len() > MOST {
        let rank = |i: &usize| worst(&all[*i]).map_or(-1.0, |w| rank(w.1));
        chosen.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then(a.cmp(b)));
        chosen.truncate(MOST);
        chosen.sort_unstable();
        table = table.caption(format!("the {MOST} worst of {} positions", all.len()));
    }
    for column in chosen.into_iter().filter_map(|i| all.get(i)) {
        table.row(row(column, report));
    }
    table
}

/// NaN ranks above everything: it is the worst there can be.
fn rank(severity: Severity) -> f32 {
    if severity.0.is_nan() { f32::INFINITY } else { severity.0 }
}

fn cells(column: &Compared) -> impl Iterator<Item = (Checkpoint, f64, Severity)> {
    column.cells.iter().filter_map(|cell| match &cell.state {
        CellState::Compared { metrics, severity, .. } => Some((cell.checkpoint, metrics.nmse, *severity)),
        _ => None,
    })
}

fn worst(column: &Compared) -> Option<(Checkpoint, Severity)> {
    // Of equals the first in order of execution: errors spread.
    cells(column)
        .map(|(checkpoint, _, severity)| (checkpoint, severity))
        .reduce(|a, b| if rank(b.1) > rank(a.1) { b } else { a })
}

fn row(column: &Compared, report: &Report<'_>) -> Vec<Value> {
    let n = cells(column).count();
    let beyond = cells(column).filter(|c| c.2.is_beyond_noise()).count();
    let worst = worst(column);
    let nmse = |pick: &dyn Fn(Checkpoint) -> bool| {
        Value::or_missing(cells(column).filter(|c| pick(c.0)).map(|c| c.1).reduce(worse))
    };
    let agrees = match column.logits.map(|l| l.top1_agrees) {
        Some(false) => Value::Flag(false).toned(Tone::Caution),
        agrees => Value::or_missing(agrees),
    };
    vec![
        column.position.into(),
        Value::or_missing(token(column.position, [report.reference, report.candidate])),
        n.into(),
        if beyond > 0 { Value::from(beyond).toned(Tone::Bad) } else { beyond.into() },
        Value::or_missing(worst.map(|w| w.1)),
        Value::or_missing(worst.map(|w| w.0.to_string())),
        nmse(&|_| true),
        nmse(&|c| c == Checkpoint::LOGITS),
        Value::or_missing(column.logits.map(|l| l.kl)),
        agrees,
    ]
}

fn token(position: u32, stores: [&Store; 2]) -> Option<String> {
    let token = stores.into_iter().find_map(|s| s.token(position))?;
    let piece = token.piece.as_deref().map(|p| format!("‘{}’", crate::text::safe_short(p, 24)));
    Some(piece.unwrap_or_else(|| format!("#{}", token.id)))
}
