//! An audit as a report.

use std::fmt::Write as _;

use super::findings::{Audit, Conclusion, Coverage, FaultyNode, KindFindings};
use super::stretch::Reach;
use crate::document::{Column, Document, Table, Value};
use crate::figures;
use crate::figures::figure;
use crate::wording::{Sentence, Tone};

/// What was audited, for the first line.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The model file.
    pub model: String,
    /// The trace.
    pub trace: String,
    /// Who computed it.
    pub engine: String,
}

/// The whole report.
pub fn document(audit: &Audit, subject: &Subject) -> Document {
    let mut document = Document::new(format!("Audit of {}", crate::text::safe(&subject.trace)));
    write(&mut document, audit, subject, "");
    document
}

/// Adds an audit to a report. `prefix` makes the names of its tables unique.
pub fn write(document: &mut Document, audit: &Audit, subject: &Subject, prefix: &str) {
    document.sentences(verdict(audit, subject));
    document.list(coverage(&audit.coverage));
    if !audit.faulty.is_empty() {
        document.list(audit.faulty.iter().map(mistake).collect());
        document.table(named(faulty(&audit.faulty), prefix));
    }
    document.table(named(kinds(&audit.kinds), prefix));
    document.table(named(unjudged(&audit.coverage), prefix));
}

fn named(table: Table, prefix: &str) -> Table {
    Table { name: format!("{prefix}{}", table.name), ..table }
}

/// The verdict with what it rests on.
pub fn verdict(audit: &Audit, subject: &Subject) -> Vec<Sentence> {
    let sentence = |tone, text: String| Sentence { tone, text };
    let who = crate::text::safe(&subject.engine);
    let judged = figures::count(audit.coverage.judged(), "cell");
    match audit.conclusion() {
        Conclusion::Clean => vec![sentence(
            Tone::Good,
            format!("clean: each of {judged} of {who} is what the model says, up to the rounding of the arithmetic named below"),
        )],
        Conclusion::NotEnough => vec![sentence(
            Tone::Caution,
            "not enough was recorded to recompute anything: record more checkpoints (`paritty trace --checkpoints all`)".to_owned(),
        )],
        Conclusion::Faulty => {
            let cells: usize = audit.faulty.iter().map(|f| f.positions.len()).sum();
            let mut out = vec![sentence(
                Tone::Bad,
                format!(
                    "faulty: {} of {who} that no arithmetic explains ({} of {judged})",
                    figures::count(audit.faulty.len(), "operation"),
                    figures::count(cells, "cell"),
                ),
            )];
            if let Some(first) = audit.faulty.first() {
                out.push(sentence(Tone::Bad, first_fault(first)));
            }
            out
        }
    }
}

fn first_fault(f: &FaultyNode) -> String {
    let weight = f.weight.as_ref().map(|w| format!(" with {}", crate::text::safe(w))).unwrap_or_default();
    let reach = reach(f.reach);
    format!(
        "first: {} ({}{weight}), {}: {reach}, off by {} of its norm where {} is explained",
        f.checkpoint,
        f.operation,
        at_positions(&f.positions, f.judged),
        figure(f.worst.relative),
        figure(f.worst.floor),
    )
}

/// What kind of mistake a faulty node holds.
pub fn mistake(f: &FaultyNode) -> (Tone, String) {
    let at = f.checkpoint;
    let Some((first, others)) = f.diagnoses.split_first() else {
        return (Tone::Caution, format!("{at}: this operation, mistake unknown: {}", f.pattern));
    };
    let blame = if first.instrument { "the recorder: " } else { "" };
    let mut text = format!("{at}: {blame}{} ({}; ", first.says, first.mistake);
    if first.after.is_nan() {
        let _ = write!(text, "{} cells)", first.tried);
    } else {
        let (before, after) = (figure(first.before), figure(first.after));
        let _ = write!(
            text,
            "deviation {before} becomes {after}, {} of {} cells explained)",
            first.explained, first.tried
        );
    }
    for other in others {
        let _ = write!(text, "; equally: {}", other.says);
    }
    (Tone::Bad, text)
}

/// The figures behind a faulty node, a line each.
pub fn evidence(f: &FaultyNode) -> Vec<String> {
    let weight = f.weight.as_ref().map(|w| format!(" with {}", crate::text::safe(w))).unwrap_or_default();
    let mut out = vec![
        format!("{} ({}{weight}), {}", f.checkpoint, f.operation, at_positions(&f.positions, f.judged)),
        format!("{}: off by {} of its norm", reach(f.reach), figure(f.worst.relative)),
        format!("worst at position {}; up to {} is explained", f.worst_at, figure(f.worst.floor)),
        format!("held to: {}", f.arithmetic),
    ];
    for d in &f.diagnoses {
        let figures = if d.after.is_nan() {
            figures::count(d.tried, "cell")
        } else {
            let (before, after) = (figure(d.before), figure(d.after));
            format!("deviation {before} becomes {after}, {} of {} cells explained", d.explained, d.tried)
        };
        out.push(format!("{} ({}): {figures}", d.says, d.mistake));
    }
    if f.diagnoses.is_empty() {
        out.push(format!("no mistake that is known explains it: {}", f.pattern));
    }
    out
}

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Direct => "its recorded inputs give something else",
        Reach::Whole => "the recorded query, keys and values give something else",
        Reach::Bridged(_) => "what was recorded before it gives something else",
    }
}

fn at_positions(positions: &[u32], judged: usize) -> String {
    match positions {
        [only] => format!("position {only}"),
        [first, .., last] if positions.len() == judged => format!("all positions ({first} to {last})"),
        [first, .., last] => format!("{} of {judged} positions ({first} to {last})", positions.len()),
        [] => "no position".to_owned(),
    }
}

/// What could be judged and what not.
pub fn coverage(c: &Coverage) -> Vec<(Tone, String)> {
    let mut how = vec![format!("{} from their own inputs", c.direct)];
    if c.whole > 0 {
        how.push(format!("{} of attention as a whole", c.whole));
    }
    if c.bridged > 0 {
        how.push(format!("{} bridged from further back", c.bridged));
    }
    let mut out = vec![(
        Tone::Plain,
        format!(
            "{} judged ({}); {} of the model's {} nodes were recorded, at {}",
            figures::count(c.judged(), "cell"),
            how.join(", "),
            c.recorded,
            c.nodes,
            figures::count(c.positions, "position"),
        ),
    )];
    if let Some(assumed) = &c.assumed {
        out.push((Tone::Caution, format!("assumed of the run: {assumed}")));
    }
    if c.not_judged() > 0 {
        out.push((
            Tone::Caution,
            format!("{} not judged, see below", figures::count(c.not_judged(), "cell")),
        ));
    }
    if c.partial > 0 {
        let text =
            format!("{} recorded in part, and judged over that part", figures::count(c.partial, "cell"));
        out.push((Tone::Caution, text));
    }
    if let Some((found, tokens)) = c.padded {
        let text = format!(
            "{found} logits were recorded a position where the model has {tokens} tokens: the last {} are padding and not judged",
            found - tokens
        );
        out.push((Tone::Caution, text));
    }
    if c.inferred > 0 {
        let text = format!(
            "the trace names no token at {}: inferred from the embedding, whose right row can so not be told from a wrong one",
            figures::count(c.inferred, "position")
        );
        out.push((Tone::Caution, text));
    }
    if !c.foreign.is_empty() {
        let names: Vec<String> = c.foreign.keys().take(6).map(ToString::to_string).collect();
        out.push((
            Tone::Caution,
            format!("not in this model: {}; is it the model that the run was made with?", names.join(", ")),
        ));
    }
    out
}

fn kinds(kinds: &[KindFindings]) -> Table {
    let columns = vec![
        Column::new("kind", "kind"),
        Column::new("arithmetic", "arithmetic"),
        Column::new("nodes", "nodes"),
        Column::new("cells", "cells"),
        Column::new("median", "median"),
        Column::new("worst", "worst"),
        Column::new("floor", "floor"),
        Column::new("faulty", "faulty"),
    ];
    let mut table = Table::new("kinds", columns)
        .caption("Deviation from what the inputs give, as a share of the row's norm, by kind of operation");
    for k in kinds {
        let tone = if k.faulty > 0 { Tone::Bad } else { Tone::Plain };
        table.row(vec![
            Value::Text(k.kind.to_string()),
            Value::Text(arithmetic(k)),
            Value::Count(k.nodes as u64),
            Value::Count(k.cells as u64),
            known(k.median),
            known(k.worst),
            known(k.floor),
            Value::Count(k.faulty as u64).toned(tone),
        ]);
    }
    table
}

fn known(x: f64) -> Value {
    if x.is_nan() { Value::Missing } else { Value::Figure(x) }
}

fn arithmetic(k: &KindFindings) -> String {
    if !k.explained {
        return format!("none fits ({} tried first)", k.arithmetic);
    }
    let mut text = k.arithmetic.to_owned();
    if k.ties > 0 {
        let _ = write!(text, "; {} with ties the other way", k.ties);
    }
    for (title, cells) in &k.otherwise {
        let _ = write!(text, "; {cells} by {title}");
    }
    text
}

fn faulty(nodes: &[FaultyNode]) -> Table {
    let columns = vec![
        Column::new("checkpoint", "checkpoint"),
        Column::new("operation", "operation"),
        Column::new("weight", "weight"),
        Column::new("positions", "positions"),
        Column::new("deviation", "deviation"),
        Column::new("floor", "floor"),
        Column::new("severity", "severity"),
        Column::new("values", "values beyond"),
        Column::new("mistake", "mistake"),
    ];
    let mut table =
        Table::new("faulty", columns).caption("What no arithmetic explains, in order of execution");
    for f in nodes {
        let values = if f.worst.beyond == 0 {
            Value::Missing
        } else {
            let at = f.worst.worst.map_or(0, |w| w.0);
            Value::Text(format!("{} of {}, most at {at}", f.worst.beyond, f.worst.compared))
        };
        table.row(vec![
            Value::Text(f.checkpoint.to_string()),
            Value::Text(f.operation.to_owned()),
            f.weight.clone().map_or(Value::Missing, Value::Text),
            Value::Text(short_positions(f)),
            Value::Figure(f.worst.relative).toned(Tone::Bad),
            Value::Figure(f.worst.floor),
            Value::Times(f.worst.severity as f32),
            values,
            f.diagnoses.first().map_or(Value::Missing, |d| Value::Text(d.mistake.clone())),
        ]);
    }
    table
}

fn short_positions(f: &FaultyNode) -> String {
    match f.positions[..] {
        [only] => only.to_string(),
        [first, .., last] if f.positions.len() == f.judged => format!("all ({first}-{last})"),
        [first, .., last] => format!("{} of {} ({first}-{last})", f.positions.len(), f.judged),
        [] => String::new(),
    }
}

fn unjudged(c: &Coverage) -> Table {
    let columns = vec![Column::new("reason", "not judged, because"), Column::new("cells", "cells")];
    let mut table = Table::new("unjudged", columns);
    for (reason, &cells) in &c.unjudged {
        table.row(vec![Value::Text(reason.clone()), Value::Count(cells as u64)]);
    }
    table
}
