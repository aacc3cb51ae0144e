//! A diagnosis as a report: whose and what first, then what it rests on.

use super::graft::Rest;
use super::{Diagnosed, Isolation, Observed, Side, Whose};
use crate::audit::document::{Subject, write};
use crate::audit::{Conclusion, FaultyNode};
use crate::compare::Verdict;
use crate::document::{Column, Document, Table, Value};
use crate::figures::{count, figure};
use crate::wording::{self, Sentence, Tone};

/// Faulty operations that the first sentences name.
const SHOWN: usize = 4;

/// The whole report.
pub fn document(found: &Diagnosed) -> Document {
    let mut document = Document::new("Diagnosis");
    document.sentences(sentences(found));
    document.table(runs(found));
    document.table(claims(found));
    if let Some(verdict) = found.verdict() {
        document.heading("Against each other");
        document.sentences(wording::verdict(&verdict));
        if let Some(comparison) = &found.comparison {
            document.list(comparison.remarks().into_iter().map(|r| (Tone::Plain, r)).collect());
        }
        if let [a, b] = &found.sides[..] {
            document.table(arithmetic(a, b));
        }
    }
    if let Some(isolation) = &found.isolation {
        document.heading("With the reference's values put in");
        document.paragraph(
            Tone::Plain,
            "Where the candidate parts from the reference, it was run again with the reference's values there. What \
             still parts then is a fault by itself; what no longer does followed from the one before.",
        );
        document.table(partings(isolation));
        document.sentences(vec![rest(isolation)]);
    }
    if !found.left_out.is_empty() {
        document.heading("Not tried");
        let left_out = found.left_out.iter().map(|what| (Tone::Plain, crate::text::safe(what).into_owned()));
        document.list(left_out.collect());
    }
    if !found.observed.is_empty() {
        document.heading("With and without taps");
        document.list(
            found
                .observed
                .iter()
                .map(|seen| {
                    let s = observed(seen);
                    (s.tone, s.text)
                })
                .collect(),
        );
    }
    for side in &found.sides {
        document.heading(format!("The {} alone: {}", side.role, crate::text::safe(&side.trace)));
        let subject =
            Subject { model: String::new(), trace: side.trace.clone(), engine: side.engine.clone() };
        write(&mut document, side.judged(), &subject, &format!("{}_", side.role));
    }
    document
}

fn named(side: &Side) -> String {
    format!("the {} ({})", side.role, crate::text::safe(&side.engine))
}

fn sentence(tone: Tone, text: impl Into<String>) -> Sentence {
    Sentence { tone, text: text.into() }
}

/// Whose and what, before what it rests on.
pub fn sentences(found: &Diagnosed) -> Vec<Sentence> {
    let mut out = vec![headline(found)];
    let two = found.sides.len() > 1;
    for side in &found.sides {
        let role = if two { format!("{}: ", side.role) } else { String::new() };
        if let Some(why) = &side.ended {
            let why = crate::text::safe(why);
            out.push(sentence(
                Tone::Bad,
                format!("{role}it did not compute everything, only what came before is judged: {why}"),
            ));
        }
        let coverage = &side.judged().coverage;
        if side.conclusion() == Conclusion::NotEnough && coverage.judged() > 0 {
            out.push(sentence(
                Tone::Caution,
                format!(
                    "{role}{} of {} could be judged, and none of those is faulty",
                    coverage.judged(),
                    count(coverage.judged() + coverage.not_judged(), "recorded cell"),
                ),
            ));
        }
        if let Some(weights) = &side.weights {
            out.push(sentence(Tone::Bad, format!("{role}weights differ: {}", weights.says())));
        }
        if side.conclusion() == Conclusion::Faulty {
            let faulty = &side.judged().faulty;
            out.extend(
                faulty.iter().take(SHOWN).map(|f| sentence(Tone::Bad, format!("{role}{}", mistake(f)))),
            );
            if let Some(more) = faulty.len().checked_sub(SHOWN).filter(|n| *n > 0) {
                out.push(sentence(
                    Tone::Bad,
                    format!("{role}{} more, below", count(more, "faulty operation")),
                ));
            }
        }
    }
    if let Some(isolation) = &found.isolation
        && !isolation.partings.is_empty()
    {
        out.push(rest(isolation));
    }
    let differ = matches!(found.verdict().as_deref(), Some(Verdict::Diverged { .. }));
    if found.whose() == Whose::Nobodys && differ && !found.has_other_weights() {
        let text = "the runs differ all the same: by their arithmetic (below), or before the first operation that was judged";
        out.push(sentence(Tone::Caution, text));
    }
    for seen in found.observed.iter().filter(|seen| !seen.is_same()) {
        out.push(observed(seen));
    }
    for side in &found.sides {
        let notes = side.notes.iter();
        out.extend(
            notes.map(|note| sentence(Tone::Caution, format!("the {}'s recorder: {}", side.role, note.says))),
        );
    }
    if let Some(Verdict::DifferentComputation { evidence }) = found.verdict().as_deref() {
        let text = format!("the two runs are not the same computation: {}", crate::text::safe(evidence));
        out.push(sentence(Tone::Caution, text));
    }
    out
}

fn headline(found: &Diagnosed) -> Sentence {
    match found.whose() {
        Whose::Nobodys if found.has_other_weights() => {
            sentence(Tone::Bad, "the weights differ: a true difference, and no operation is faulty")
        }
        Whose::Nobodys if found.is_disturbed() => sentence(
            Tone::Bad,
            "no operation is faulty, but looking changes what is computed or recorded: the instrument's doing",
        ),
        Whose::Nobodys if found.is_unsteady() => {
            sentence(Tone::Bad, "no operation is faulty, but a run differs from itself when it is made again")
        }
        Whose::Nobodys if found.is_cut_short() => {
            sentence(Tone::Caution, "no operation that was computed is faulty, but a run ended early")
        }
        Whose::Nobodys => sentence(Tone::Good, "no operation is faulty: each follows from its own inputs"),
        Whose::Unknown => {
            sentence(Tone::Caution, "too little was recorded to judge: record more checkpoints")
        }
        Whose::One(side) => {
            let side = &found.sides[side];
            let recorder =
                side.judged().faulty.iter().all(|f| f.diagnoses.first().is_some_and(|d| d.instrument));
            let who = if recorder { format!("the recorder of {}", named(side)) } else { named(side) };
            sentence(Tone::Bad, format!("{who} is at fault"))
        }
        Whose::Both => sentence(Tone::Bad, "both runs hold faulty operations"),
    }
}

fn mistake(node: &FaultyNode) -> String {
    let at = node.checkpoint;
    match node.diagnoses.first() {
        Some(d) if d.instrument => format!("{at}: its recorder: {}", d.says),
        Some(d) => format!("{at}: {}", d.says),
        None => format!("{at}: this operation, mistake unknown: {}", node.pattern),
    }
}

/// Each run in one word.
fn runs(found: &Diagnosed) -> Table {
    let columns = vec![
        Column::new("run", "run"),
        Column::new("engine", "engine"),
        Column::new("conclusion", "conclusion"),
        Column::new("faulty", "faulty operations"),
        Column::new("judged", "cells judged"),
    ];
    let mut table = Table::new("runs", columns);
    for side in &found.sides {
        let (word, tone) = match side.conclusion() {
            Conclusion::Clean if side.weights.is_some() => ("other weights", Tone::Bad),
            Conclusion::Clean => ("clean", Tone::Good),
            Conclusion::Faulty => ("faulty", Tone::Bad),
            Conclusion::NotEnough => ("not enough recorded", Tone::Caution),
        };
        let faulty = if side.conclusion() == Conclusion::Faulty { side.judged().faulty.len() } else { 0 };
        table.row(vec![
            Value::Text(side.role.to_owned()),
            Value::Text(side.engine.clone()),
            Value::Text(word.to_owned()).toned(tone),
            Value::Count(faulty as u64),
            Value::Count(side.judged().coverage.judged() as u64),
        ]);
    }
    table
}

/// Every fault that is claimed, with the means by which.
fn claims(found: &Diagnosed) -> Table {
    let mut columns = vec![
        Column::new("run", "run"),
        Column::new("checkpoint", "checkpoint"),
        Column::new("mistake", "mistake"),
        Column::new("audit", "by audit"),
    ];
    if found.isolation.is_some() {
        columns.push(Column::new("graft", "by graft"));
    }
    let mut table = Table::new("faults", columns).caption(if found.isolation.is_some() {
        "Faults, each by itself. By audit: off by this share of its norm from what its own recorded inputs give. \
         By graft: it parts from the reference although everything before it was made right"
    } else {
        "Faults, each by itself: off by this share of its norm from what its own recorded inputs give"
    });
    let partings = found.isolation.as_ref().map_or(&[][..], |i| &i.partings);
    for side in &found.sides {
        let grafted = side.role == "candidate" && found.isolation.is_some();
        let faulty = if side.conclusion() == Conclusion::Faulty { &side.judged().faulty[..] } else { &[] };
        let mut rows: Vec<_> = faulty.iter().map(|f| (f.checkpoint, Some(f))).collect();
        if grafted {
            let known: Vec<_> = rows.iter().map(|r| r.0).collect();
            rows.extend(
                partings.iter().map(|p| p.checkpoint).filter(|c| !known.contains(c)).map(|c| (c, None)),
            );
            rows.sort_by_key(|r| r.0);
        }
        for (checkpoint, node) in rows {
            let parting = partings.iter().find(|p| p.checkpoint == checkpoint);
            table.row(vec![
                Value::Text(side.role.to_owned()),
                Value::Text(checkpoint.to_string()),
                node.and_then(|n| n.diagnoses.first())
                    .map_or(Value::Missing, |d| Value::Text(d.mistake.clone())),
                node.map_or(Value::Text("not faulty".into()), |n| Value::Figure(n.worst.relative)),
                match parting {
                    _ if !grafted => Value::Missing,
                    Some(p) => {
                        Value::Text(format!("{} noise", wording::times(crate::compare::Severity(p.severity))))
                    }
                    None => Value::Text("within noise".into()),
                },
            ]);
        }
    }
    table
}

fn partings(isolation: &Isolation) -> Table {
    let columns = vec![
        Column::new("checkpoint", "parts at"),
        Column::new("position", "position"),
        Column::new("severity", "severity"),
        Column::new("beyond", "cells beyond noise"),
        Column::new("before", "made right before"),
    ];
    let mut table = Table::new("partings", columns);
    for (i, parting) in isolation.partings.iter().enumerate() {
        let before: Vec<String> = isolation.partings[..i].iter().map(|p| p.checkpoint.to_string()).collect();
        table.row(vec![
            Value::Text(parting.checkpoint.to_string()),
            Value::Count(parting.position.into()),
            Value::Times(parting.severity).toned(Tone::Bad),
            Value::Count(parting.beyond),
            if before.is_empty() { Value::Missing } else { Value::Text(before.join(", ")) },
        ]);
    }
    table
}

/// What grafts leave, in a sentence.
fn rest(isolation: &Isolation) -> Sentence {
    let names: Vec<String> = isolation.partings.iter().map(|p| p.checkpoint.to_string()).collect();
    let (at, names) = (names.len(), names.join(", "));
    let followed = isolation.partings.first().map_or(0, |p| p.beyond as usize).saturating_sub(at);
    match &isolation.rest {
        Rest::Agrees if at == 0 => {
            sentence(Tone::Plain, "by graft: nothing differs beyond noise, so that nothing was put in")
        }
        Rest::Agrees => sentence(
            Tone::Plain,
            format!(
                "by graft: with the reference's values at {names} the rest agrees; what else differed ({}) followed from {}",
                count(followed, "cell"),
                if at == 1 { "it" } else { "them" },
            ),
        ),
        Rest::Parts(left) => sentence(
            Tone::Caution,
            format!("by graft: with the reference's values at {names} it still parts at {left}"),
        ),
        Rest::NoValues(left) => sentence(
            Tone::Caution,
            format!("by graft: it parts at {left}, where the reference has no values to put in"),
        ),
        Rest::Undecided => {
            sentence(Tone::Caution, "by graft: the two runs cannot be held against each other")
        }
    }
}

fn observed(seen: &Observed) -> Sentence {
    let (role, n) = (seen.role, count(seen.positions, "position"));
    let Some((position, token, with, without)) = seen.first else {
        return sentence(
            Tone::Good,
            format!("the {role} computes the same logits when nobody looks: {n}, bit for bit"),
        );
    };
    if let Some(again) = &seen.again {
        return sentence(
            Tone::Bad,
            format!(
                "the {role} differs from itself: made twice with the same taps its logits differ at {} of {n}, and without taps \
                 by up to {} of their norm (memory that nobody wrote, threads that race, or chance); whether looking \
                 changes something, nobody can tell",
                again.len(),
                figure(seen.worst),
            ),
        );
    }
    sentence(
        Tone::Bad,
        format!(
            "the {role}'s instrument changes what is computed or recorded: without taps its logits differ at {} of {n}, by up \
             to {} of their norm (first at position {position}, token {token}: {with:e} recorded, {without:e} without taps)",
            seen.differing.len(),
            figure(seen.worst),
        ),
    )
}

/// Kinds of operations that the two runs compute in different arithmetic.
fn arithmetic(a: &Side, b: &Side) -> Table {
    let columns = vec![
        Column::new("kind", "kind"),
        Column::new("reference", "reference"),
        Column::new("candidate", "candidate"),
    ];
    let mut table = Table::new("arithmetic", columns).caption("Where their arithmetic differs");
    for x in &a.judged().kinds {
        let y = b
            .judged()
            .kinds
            .iter()
            .find(|k| k.kind.family == x.kind.family && k.kind.weights == x.kind.weights);
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
