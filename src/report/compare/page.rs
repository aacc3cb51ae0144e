//! For people: the verdict with its evidence, then the figures behind it.

use super::rows::{self, Row};
use super::{Report, notes};
use crate::compare::Verdict;
use crate::model::Checkpoint;
use crate::report::document::{Column, Document, Table, Value};
use crate::text::safe;
use crate::wording::{self, Tone, figure};

/// The report as a document.
pub fn document(report: &Report<'_>) -> Document {
    let verdict = report.comparison.verdict();
    let mut out = Document::new(format!(
        "{} against {}",
        safe(&file_name(report.candidate)),
        safe(&file_name(report.reference))
    ));
    out.sentences(wording::verdict(&verdict));
    out.list(report.comparison.remarks().into_iter().map(|r| (Tone::Plain, format!("note: {r}"))).collect());
    // Figures of two different computations mean nothing.
    if !matches!(*verdict, Verdict::DifferentComputation { .. }) {
        tables(report, &mut out);
    }
    out.heading("The two runs");
    for (name, store) in [("reference", report.reference), ("candidate", report.candidate)] {
        out.paragraph(Tone::Plain, format!("{name}: {}", notes::title(store)));
        out.list(notes::sentences(store).into_iter().map(|s| (Tone::Plain, s)).collect());
    }
    out
}

fn file_name(store: &crate::trace::Store) -> String {
    let path = store.path();
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn tables(report: &Report<'_>, out: &mut Document) {
    let comparison = report.comparison;
    if let Some(l) = rows::logits(comparison) {
        let tone = if l.agree == l.n { Tone::Good } else { Tone::Caution };
        let worst =
            l.worst.map(|(p, kl)| format!(", worst {} nats at position {p}", figure(kl))).unwrap_or_default();
        let text = format!(
            "logits: same first token at {} of {} positions, KL median {}{worst}, {:.1} of top {} shared",
            l.agree,
            l.n,
            figure(l.kl),
            l.overlap * f64::from(l.k),
            l.k
        );
        out.list(vec![(tone, text)]);
    }
    let sites = rows::by(comparison, Checkpoint::site);
    if sites.is_empty() {
        return;
    }
    out.heading("By checkpoint");
    out.table(table("sites", "checkpoint", sites.iter().map(|(site, row)| (site.name().into(), row))));
    let layers = rows::by(comparison, Checkpoint::layer_index);
    if layers.len() > 2 {
        let name =
            |l: &Option<usize>| Value::from(l.map_or_else(|| "outside".to_owned(), |l| format!("layer {l}")));
        out.heading("By layer");
        out.table(table("layers", "layer", layers.iter().map(|(l, row)| (name(l), row))));
    }
}

fn table<'a>(name: &str, first: &'static str, rows: impl Iterator<Item = (Value, &'a Row)>) -> Table {
    let columns = vec![
        Column::new(first, first),
        Column::new("cells", "cells"),
        Column::new("severity_median", "× noise"),
        Column::new("severity_worst", "worst"),
        Column::new("nmse_median", "NMSE"),
        Column::new("nmse_worst", "worst"),
        Column::new("cosine_worst", "cosine"),
        Column::new("worst_cell", "worst cell"),
        Column::new("worst_position", "position"),
    ];
    let mut table = Table::new(name, columns);
    for (name, row) in rows {
        let Some((position, checkpoint, worst)) = row.worst else { continue };
        table.row(vec![
            name,
            row.cells().into(),
            Value::Times(row.severity().0),
            worst.into(),
            row.nmse().into(),
            row.worst_nmse().into(),
            Value::Cosine(row.cosine),
            checkpoint.to_string().into(),
            position.into(),
        ]);
    }
    table
}
