//! A diagnosis as a report: whose and what first, then what it rests on.

use super::{Diagnosed, Side, Whose};
use crate::audit::document::{Subject, write};
use crate::compare::Verdict;
use crate::report::document::{Column, Document, Table, Value};
use crate::wording::{self, Sentence, Tone};

/// The whole report.
pub fn document(found: &Diagnosed) -> Document {
    let mut document = Document::new("Diagnosis");
    document.sentences(sentences(found));
    if let Some(verdict) = found.verdict() {
        document.heading("Against each other");
        document.sentences(wording::verdict(&verdict));
        if let [a, b] = &found.sides[..] {
            document.table(arithmetic(a, b));
        }
    }
    for side in &found.sides {
        document.heading(format!("The {} alone: {}", side.role, crate::text::safe(&side.trace)));
        let subject =
            Subject { model: String::new(), trace: side.trace.clone(), engine: side.engine.clone() };
        write(&mut document, &side.audit, &subject, &format!("{}_", side.role));
    }
    document
}

fn named(side: &Side) -> String {
    format!("the {} ({})", side.role, crate::text::safe(&side.engine))
}

/// Whose and what, before what it rests on.
pub fn sentences(found: &Diagnosed) -> Vec<Sentence> {
    let sentence = |tone, text: String| Sentence { tone, text };
    let mut out = Vec::new();
    let mistake = |side: &Side| {
        let first = side.audit.faulty.first()?;
        let at = first.checkpoint;
        Some(match first.diagnoses.first() {
            Some(d) if d.instrument => format!("{at}: its recorder: {}", d.says),
            Some(d) => format!("{at}: {}", d.says),
            None => format!("{at}: this operation, mistake unknown: {}", first.pattern),
        })
    };
    match found.whose() {
        Whose::Nobodys => {
            out.push(sentence(Tone::Good, "no operation is faulty: each follows from its own inputs".into()));
            if matches!(found.verdict().as_deref(), Some(Verdict::Diverged { .. })) {
                let text = "the runs differ all the same: by their arithmetic (below), or before the first operation that was judged";
                out.push(sentence(Tone::Caution, text.into()));
            }
        }
        Whose::Unknown => {
            out.push(sentence(
                Tone::Caution,
                "too little was recorded to judge: record more checkpoints".into(),
            ));
        }
        Whose::One(side) => {
            let side = &found.sides[side];
            out.push(sentence(Tone::Bad, format!("{} is at fault", named(side))));
        }
        Whose::Both => out.push(sentence(Tone::Bad, "both runs hold faulty operations".into())),
    }
    for side in &found.sides {
        if let Some(text) = mistake(side) {
            let text = if found.sides.len() > 1 { format!("{}: {text}", side.role) } else { text };
            out.push(sentence(Tone::Bad, text));
        }
    }
    if let Some(Verdict::DifferentComputation { evidence }) = found.verdict().as_deref() {
        let text = format!("the two runs are not the same computation: {}", crate::text::safe(evidence));
        out.push(sentence(Tone::Caution, text));
    }
    out
}

/// Kinds of operations that the two runs compute in different arithmetic.
fn arithmetic(a: &Side, b: &Side) -> Table {
    let columns = vec![
        Column::new("kind", "kind"),
        Column::new("reference", "reference"),
        Column::new("candidate", "candidate"),
    ];
    let mut table = Table::new("arithmetic", columns).caption("Where their arithmetic differs");
    for x in &a.audit.kinds {
        let y =
            b.audit.kinds.iter().find(|k| k.kind.family == x.kind.family && k.kind.weights == x.kind.weights);
        if let Some(y) = y.filter(|y| y.arithmetic != x.arithmetic) {
            table.row(vec![
                Value::Text(x.kind.to_string()),
                Value::Text(x.arithmetic.to_owned()),
                Value::Text(y.arithmetic.to_owned()),
            ]);
        }
    }
    table
}
