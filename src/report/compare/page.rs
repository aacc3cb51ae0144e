//! For people: the verdict with its evidence, then the figures behind it.

use super::pictures::Camera;
use super::rows::{self, Row};
use super::{Report, findings, notes, positions};
use crate::compare::Verdict;
use crate::compare::verdict::Coverage;
use crate::document::{Column, Document, Table, Value};
use crate::figures::figure;
use crate::model::Checkpoint;
use crate::plot::View;
use crate::text::safe;
use crate::wording::{self, Tone};

/// The report as a document, as short as it fits a terminal.
pub fn document(report: &Report<'_>) -> Document {
    let mut out = opening(report);
    if is_comparable(report) {
        by_checkpoint(report, &mut out);
        by_layer(report, &mut out);
    }
    closing(report, &mut out);
    out
}

/// The report with everything there is to see: pictures, findings, coverage, every position.
pub fn illustrated(report: &Report<'_>) -> Document {
    let mut out = opening(report);
    let camera = Camera::new(report);
    let findings = findings::table(report.comparison);
    let shown = camera.has_figures();
    if shown {
        out.heading("Where the runs part");
        camera.take(&[View::Map, View::Layer, View::Heatmaps], &mut out);
    }
    out.heading("Can the recorded values be trusted?");
    if findings.rows.is_empty() {
        out.paragraph(Tone::Plain, "No value was found in either run that an engine does not compute.");
    }
    out.table(findings);
    out.heading("Tokens");
    camera.take(&[View::Tokens], &mut out);
    if shown {
        out.heading("Logits");
        camera.take(&[View::Logits, View::Scatter], &mut out);
        out.heading("How large the differences are");
        let views = [View::Growth, View::Positions, View::Histogram, View::Severities];
        camera.take(&views, &mut out);
    }
    if is_comparable(report) {
        by_checkpoint(report, &mut out);
        by_layer(report, &mut out);
        let positions = positions::table(report);
        if !positions.rows.is_empty() {
            out.heading("By position").table(positions);
        }
    }
    if let Some(coverage) = coverage(&report.comparison.verdict()) {
        out.heading("What was compared").table(coverage);
    }
    closing(report, &mut out);
    out
}

/// Figures of two different computations mean nothing.
fn is_comparable(report: &Report<'_>) -> bool {
    !matches!(*report.comparison.verdict(), Verdict::DifferentComputation { .. })
}

fn opening(report: &Report<'_>) -> Document {
    let comparison = report.comparison;
    let mut out = Document::new(format!(
        "{} against {}",
        safe(&file_name(report.candidate)),
        safe(&file_name(report.reference))
    ));
    // A true difference, to be known before all that it causes.
    let weights = comparison.other_weights().filter(|_| is_comparable(report));
    if let Some(says) = &weights {
        out.paragraph(Tone::Caution, says.clone());
    }
    out.sentences(wording::verdict(&comparison.verdict()));
    let remarks = comparison.remarks().into_iter().filter(|r| Some(r) != weights.as_ref());
    out.list(remarks.map(|r| (Tone::Plain, format!("note: {r}"))).collect());
    if let Some(l) = rows::logits(comparison).filter(|_| is_comparable(report)) {
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
    out
}

fn closing(report: &Report<'_>, out: &mut Document) {
    out.heading("The two runs");
    for (name, store) in [("reference", report.reference), ("candidate", report.candidate)] {
        out.paragraph(Tone::Plain, format!("{name}: {}", notes::title(store)));
        out.list(notes::sentences(store.notes()).into_iter().map(|s| (Tone::Plain, s)).collect());
    }
}

fn file_name(store: &crate::trace::Store) -> String {
    let path = store.path();
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn by_checkpoint(report: &Report<'_>, out: &mut Document) {
    let sites = rows::by(report.comparison, Checkpoint::site);
    if !sites.is_empty() {
        out.heading("By checkpoint");
        out.table(table("sites", "checkpoint", sites.iter().map(|(site, row)| (site.name().into(), row))));
    }
}

fn by_layer(report: &Report<'_>, out: &mut Document) {
    let layers = rows::by(report.comparison, Checkpoint::layer_index);
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

/// What was compared and what could not be; none where no verdict says so.
fn coverage(verdict: &Verdict) -> Option<Table> {
    let (Verdict::Diverged { coverage, .. }
    | Verdict::Inconclusive { coverage, .. }
    | Verdict::WithinNoise { coverage, .. }) = verdict
    else {
        return None;
    };
    let Coverage {
        positions,
        reference_only_positions,
        candidate_only_positions,
        cells,
        missing_in_candidate,
        missing_in_reference,
        partial,
        unreadable,
    } = coverage;
    let mut table =
        Table::new("coverage", vec![Column::new("what", "what"), Column::new("count", "how many")]);
    table.row(vec!["positions that both runs have".into(), (*positions).into()]);
    table.row(vec!["cells compared".into(), (*cells).into()]);
    let lacking = [
        ("positions that only the reference has", u64::from(*reference_only_positions)),
        ("positions that only the candidate has", u64::from(*candidate_only_positions)),
        ("cells that the candidate lacks", *missing_in_candidate),
        ("cells that the reference lacks", *missing_in_reference),
        ("cells compared over a part of their values", *partial),
        ("cells of other shapes or without their values", *unreadable),
    ];
    for (what, n) in lacking {
        let count = Value::from(n);
        table.row(vec![what.into(), if n > 0 { count.toned(Tone::Caution) } else { count }]);
    }
    Some(table)
}
