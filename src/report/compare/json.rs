//! For programs: everything the table says, one object.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::rows::{self, Row};
use super::{Format, Report, notes};
use crate::compare::Verdict;
use crate::compare::verdict::Coverage;
use crate::figures::number;
use crate::session::facts::verdict;
use crate::trace::Store;

pub(super) struct Json;

impl Format for Json {
    fn id(&self) -> &'static str {
        "json"
    }

    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        let comparison = report.comparison;
        let mut object = json!({
            "verdict": verdict(&comparison.verdict()),
            "remarks": comparison.remarks(),
            "reference": trace(report.reference),
            "candidate": trace(report.candidate),
        });
        match &*comparison.verdict() {
            Verdict::Diverged { coverage: c, first, .. } => {
                object["verdict"]["evidence"] = json!(first.evidence);
                object["coverage"] = coverage(c);
            }
            Verdict::Inconclusive { coverage: c, .. } | Verdict::WithinNoise { coverage: c, .. } => {
                object["coverage"] = coverage(c);
            }
            Verdict::Pending | Verdict::DifferentComputation { .. } | Verdict::Instrument { .. } => {}
        }
        if !matches!(*comparison.verdict(), Verdict::DifferentComputation { .. }) {
            let sites = rows::by(comparison, crate::model::Checkpoint::site);
            object["sites"] =
                sites.iter().map(|(site, row)| (site.name().to_owned(), summary(row))).collect();
            let layers = rows::by(comparison, crate::model::Checkpoint::layer_index);
            object["layers"] =
                layers.iter().filter_map(|(l, row)| l.map(|l| (l.to_string(), summary(row)))).collect();
            object["logits"] = rows::logits(comparison).map_or(Value::Null, |l| {
                json!({
                    "positions": l.n,
                    "top1_agree": l.agree,
                    "kl_median": number(l.kl),
                    "kl_worst": l.worst.map(|w| number(w.1)),
                    "kl_worst_position": l.worst.map(|w| w.0),
                    "overlap": number(l.overlap),
                    "k": l.k,
                })
            });
            object["garbage"] = garbage(report);
            if let Some(limits) = report.limits {
                object["limits"] = super::tolerances::json(limits);
            }
        }
        serde_json::to_writer_pretty(&mut *out, &object)?;
        writeln!(out)
    }
}

fn summary(row: &Row) -> Value {
    json!({
        "cells": row.cells(),
        "beyond": row.beyond,
        "severity_median": number(f64::from(row.severity().0)),
        "severity_worst": row.worst.map(|w| number(f64::from(w.2.0))),
        "worst_position": row.worst.map(|w| w.0),
        "worst_checkpoint": row.worst.map(|w| w.1.to_string()),
        "nmse_median": number(row.nmse()),
        "nmse_worst": number(row.worst_nmse()),
        "cosine_worst": number(row.cosine),
    })
}

fn coverage(c: &Coverage) -> Value {
    json!({
        "positions": c.positions,
        "reference_only_positions": c.reference_only_positions,
        "candidate_only_positions": c.candidate_only_positions,
        "cells": c.cells,
        "missing_in_candidate": c.missing_in_candidate,
        "missing_in_reference": c.missing_in_reference,
        "partial": c.partial,
        "unreadable": c.unreadable,
    })
}

fn trace(store: &Store) -> Value {
    json!({
        "path": store.path().display().to_string(),
        "header": store.header(),
        "ended": store.has_ended(),
        "notes": notes::sentences(store.notes()),
    })
}

/// Rows with a finding, by side and class.
fn garbage(report: &Report<'_>) -> Value {
    let mut counts = std::collections::BTreeMap::<(&str, &str), u64>::new();
    for column in report.comparison.columns() {
        for (side, findings) in
            [("reference", &column.garbage_reference), ("candidate", &column.garbage_candidate)]
        {
            for finding in findings {
                *counts.entry((side, finding.class)).or_default() += 1;
            }
        }
    }
    let mut out = json!({ "reference": {}, "candidate": {} });
    for ((side, class), count) in counts {
        out[side][class] = json!(count);
    }
    out
}
