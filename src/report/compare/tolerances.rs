//! Which limit was applied to which checkpoint, and whether it holds.

use super::Report;
use crate::compare::Verdict;
use crate::compare::tolerance::Judged;
use crate::document::{Block, Column, Document, Table, Value};
use crate::wording::Tone;

/// Adds the limits to a page, behind its verdict.
pub(super) fn insert(report: &Report<'_>, page: &mut Document) {
    // Figures of two different computations mean nothing.
    let same = !matches!(*report.comparison.verdict(), Verdict::DifferentComputation { .. });
    let Some(judged) = report.limits.filter(|_| same) else { return };
    let failing = judged.iter().filter(|j| !j.passes).count();
    let (tone, text) = match failing {
        0 => (Tone::Good, format!("all {} limits hold", judged.len())),
        n => (Tone::Bad, format!("{n} of {} limits do not hold", judged.len())),
    };
    let at = page.blocks.iter().position(|b| matches!(b, Block::Heading(_))).unwrap_or(page.blocks.len());
    let blocks = [
        Block::Heading("Limits".to_owned()),
        Block::Paragraph { tone, text },
        Block::Table(tolerances(judged)),
    ];
    page.blocks.splice(at..at, blocks);
}

/// What every limit says, as a table: failures first.
fn tolerances(judged: &[Judged]) -> Table {
    let columns = vec![
        Column::new("checkpoint", "checkpoint"),
        Column::new("passes", "holds"),
        Column::new("metric", "metric"),
        Column::new("limit", "limit"),
        Column::new("worst", "worst"),
        Column::new("position", "position"),
        Column::new("cells", "cells"),
        Column::new("source", "where the limit comes from"),
    ];
    let mut table = Table::new("tolerances", columns);
    let (bad, good): (Vec<&Judged>, Vec<&Judged>) = judged.iter().partition(|j| !j.passes);
    for j in bad.into_iter().chain(good) {
        let tone = if j.passes { Tone::Good } else { Tone::Bad };
        table.row(vec![
            j.checkpoint.map_or(Value::Missing, |c| c.to_string().into()),
            Value::Flag(j.passes).toned(tone),
            j.metric.name().into(),
            Value::Figure(j.limit),
            Value::or_missing(j.worst.map(|(figure, _)| figure)),
            Value::or_missing(j.worst.map(|(_, position)| position)),
            j.cells.into(),
            j.source.as_str().into(),
        ]);
    }
    table
}

/// The same for programs.
pub(super) fn json(judged: &[Judged]) -> serde_json::Value {
    let number = crate::figures::number;
    let one = |j: &Judged| {
        serde_json::json!({
            "checkpoint": j.checkpoint.map(|c| c.to_string()),
            "passes": j.passes,
            "metric": j.metric.name(),
            "limit": number(j.limit),
            "worst": j.worst.map(|w| number(w.0)),
            "position": j.worst.map(|w| w.1),
            "cells": j.cells,
            "source": j.source,
        })
    };
    judged.iter().map(one).collect()
}
