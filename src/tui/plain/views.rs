//! What the open view shows of the place under the cursor, a fact a line.

use super::diagnosis;
use super::lines::{arrived, cell};
use crate::compare::{CellState, Ranked};
use crate::figures;
use crate::garbage;
use crate::model::Checkpoint;
use crate::session::{Attention, Focus, Which, texts};
use crate::session::{aligned, alike};
use crate::trace::Tensor;
use crate::tui::app::{App, Mark, Shown};
use crate::tui::kinds::PaneKind;
use crate::tui::panes::scale::difference;
use crate::tui::views::View;
use crate::tui::words;
use crate::tui::worst::{ulps, value, worst};
use crate::wording;

/// Elements, findings and records that are listed at most.
const LISTED: usize = 12;

/// The facts of the open view, or nothing while they are being read.
pub(super) fn facts(app: &App) -> Option<Vec<String>> {
    let snapshot = app.snapshot();
    let mut out = vec![format!("view: {}", app.view().info().title)];
    match app.view() {
        View::Overview => return read(app).map(cell),
        View::Layer => out.extend(pipeline(app)),
        View::Tensor => out.extend(tensor(app, read(app)?)),
        View::Logits => out.extend(logits(app, read(app).filter(|f| f.top.ranking == app.ranking())?)),
        View::Garbage => out.extend(findings(app)),
        View::Diagnosis => out.extend(diagnosis::lines(&snapshot.diagnosis)),
        View::Records => out.extend(records(app)),
        View::Channels => out.extend(channels(app, read(app).filter(|f| f.layers.is_some())?)),
        View::Attention => out.extend(attention(app, read(app).filter(|f| f.scores.is_some())?)),
    }
    Some(out)
}

/// The values under the cursor.
fn read(app: &App) -> Option<&Focus> {
    match app.shown() {
        Shown::Current(focus) => Some(focus),
        _ => None,
    }
}

/// Every checkpoint of the cursor's layer, in order of execution.
fn pipeline(app: &App) -> Vec<String> {
    let cursor = app.cursor();
    let place = match cursor.checkpoint.layer_index() {
        Some(layer) => format!("layer {layer}, position {}", cursor.position),
        None => format!("position {}", cursor.position),
    };
    let mut out = vec![format!("{place}, in order of execution:")];
    let marks = app.marks(cursor.position);
    for &checkpoint in app.rows().group(cursor.checkpoint) {
        let cell = marks.and_then(|marks| marks.column.cell(checkpoint));
        let enters = cell.is_some_and(|cell| Mark::of(&cell.state).origin);
        let enters = if enters { ", an error enters here" } else { "" };
        out.push(format!("  {checkpoint}: {}{enters}", state(cell.as_ref().map(|cell| &cell.state))));
    }
    out
}

fn state(state: Option<&CellState>) -> String {
    match state {
        Some(CellState::Compared { metrics, severity, .. }) => {
            wording::cell(metrics, Some(*severity)).join(", ")
        }
        Some(CellState::ReferenceOnly) => "only the reference has it".to_owned(),
        Some(CellState::CandidateOnly) => "only the candidate has it".to_owned(),
        Some(CellState::ShapeMismatch) => "shapes that cannot be the same tensor".to_owned(),
        Some(CellState::Unreadable) => "its values are not there".to_owned(),
        None => "not recorded at this position".to_owned(),
    }
}

/// The cell, how its values are spread, and the elements that differ most.
fn tensor(app: &App, focus: &Focus) -> Vec<String> {
    let mut out = cell(focus);
    for (side, tensor) in Which::BOTH.into_iter().zip([&focus.reference, &focus.candidate]) {
        out.push(format!("  {side}: {}", tensor.as_ref().map_or("not recorded".to_owned(), spread)));
    }
    let (Some(reference), Some(candidate)) = aligned(focus) else { return out };
    let both = reference.values.len().min(candidate.values.len());
    let element = |channel: usize| {
        let (a, b) = (reference.values[channel], candidate.values[channel]);
        let steps = ulps(a, b).map_or_else(String::new, |steps| format!(", {steps} ULP apart"));
        format!(
            "channel {channel}: reference {} ({:08x}), candidate {} ({:08x}){steps}",
            value(a, 4),
            a.to_bits(),
            value(b, 4),
            b.to_bits()
        )
    };
    let pointed = app.cursor().channel as usize;
    if pointed < both {
        out.push(format!("  under the cursor: {}", element(pointed)));
    }
    let worst = worst(&reference, &candidate);
    out.extend(worst.into_iter().take(LISTED).map(|channel| format!("  differs most: {}", element(channel))));
    out
}

/// `256 values, [32×8], -2.1 to 2.4, 1 not finite`.
fn spread(tensor: &Tensor) -> String {
    let shape: Vec<String> = tensor.shape.iter().take(4).map(ToString::to_string).collect();
    let finite = tensor.values.iter().copied().filter(|v| v.is_finite());
    let count = finite.clone().count();
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let mut out = format!("{}, [{}]", figures::count(tensor.values.len(), "value"), shape.join("×"));
    if count > 0 {
        out = format!("{out}, {} to {}", figures::figure(low.into()), figures::figure(high.into()));
    }
    match tensor.values.len() - count {
        0 => out,
        odd => format!("{out}, {odd} not finite"),
    }
}

/// The texts of both sides, and the most likely tokens with what both say of each.
fn logits(app: &App, focus: &Focus) -> Vec<String> {
    let position = app.cursor().position;
    let said = texts(&app.snapshot().tokens, position);
    let mut out = vec![format!("  text up to position {position}, reference: “{}”", said.reference)];
    match said.part_at {
        Some(at) => {
            out.push(format!("  text up to position {position}, candidate: “{}”", said.candidate));
            out.push(format!("  the texts part at position {at}"));
        }
        None => out.push("  the candidate's text is the same".to_owned()),
    }
    out.extend(focus.logits.as_ref().map(|m| format!("  {}", wording::logits(m).join(", "))));
    if focus.top.rows.is_empty() {
        out.push("  no logits at this position".to_owned());
        return out;
    }
    out.push(format!("  tokens by {}:", words::ranking(focus.top.ranking)));
    out.extend(focus.top.rows.iter().map(|row| format!("  {}", ranked(focus, row))));
    out
}

fn ranked(focus: &Focus, row: &Ranked) -> String {
    let piece = focus.pieces.iter().find(|(id, _)| *id == row.token).map_or("", |(_, text)| text.as_str());
    let side = |side: usize| {
        let rank = row.ranks[side].map_or("no rank".to_owned(), |rank| format!("rank {}", rank + 1));
        let p = row.probabilities[side].map_or("-".to_owned(), figures::probability);
        let logit = row.logits[side].map_or("none".to_owned(), |v| figures::figure(v.into()));
        format!("{rank}, probability {p}, logit {logit}")
    };
    format!("token {} “{piece}”: reference {}; candidate {}", row.token, side(0), side(1))
}

/// How much garbage there is, and the chosen findings in full.
fn findings(app: &App) -> Vec<String> {
    let all = app.list_len(PaneKind::Findings);
    if all == 0 {
        return vec!["no garbage so far: every value of both runs could have been computed".to_owned()];
    }
    let mut out: Vec<String> = Which::BOTH
        .into_iter()
        .map(|side| {
            let counts = app.finding_counts(side).iter().map(|(class, n)| format!("{class} {n}"));
            let counts: Vec<String> = counts.collect();
            format!("{side}: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") })
        })
        .collect();
    for found in (0..all).filter_map(|row| app.finding(row)).take(LISTED) {
        let finding = found.finding;
        out.push(format!(
            "position {}, {}, {} at {}: {} from channel {} on, {} sure: {}",
            found.position,
            found.side,
            finding.class,
            finding.checkpoint,
            figures::count(finding.count as usize, "value"),
            finding.first_channel,
            figures::percent(finding.confidence.into()),
            finding.evidence
        ));
    }
    if all > LISTED {
        out.push(format!("{} more", all - LISTED));
    }
    let classes = Which::BOTH.into_iter().flat_map(|side| app.finding_counts(side).keys().copied());
    let classes: std::collections::BTreeSet<&str> = classes.collect();
    let explained = classes.into_iter().filter_map(|id| Some((id, garbage::class(id)?)));
    out.extend(explained.map(|(id, class)| format!("{id}: {}", class.explain())));
    out
}

/// How much has arrived, and the newest of it.
fn records(app: &App) -> Vec<String> {
    let mut out = arrived(app.snapshot());
    let newest = &app.snapshot().records.newest;
    for arrived in newest.iter().skip(newest.len().saturating_sub(LISTED)) {
        let record = &arrived.record;
        let shape: Vec<String> = record.shape.iter().take(4).map(ToString::to_string).collect();
        let name = record.tensor.as_ref().map(|name| format!(", its name {name}")).unwrap_or_default();
        let op = record.op.as_ref().map(|op| format!(", by {op}")).unwrap_or_default();
        out.push(format!(
            "{}: position {}, {}, {} [{}], {} bytes{name}{op}",
            arrived.side,
            record.position,
            record.checkpoint,
            record.dtype,
            shape.join("×"),
            record.bytes
        ));
    }
    out
}

/// The cursor's site in every layer.
fn channels(app: &App, focus: &Focus) -> Vec<String> {
    let cursor = app.cursor();
    let mut out =
        vec![format!("{} at position {}, layer by layer:", cursor.checkpoint.site().name(), cursor.position)];
    let layers = focus.layers.as_deref();
    for row in layers.iter().flat_map(|layers| &layers.rows) {
        let severity = row.severity.map(|s| format!("{} noise", wording::times(s)));
        let mut facts: Vec<String> = severity.into_iter().collect();
        if let (Some(a), Some(b)) = alike(row.reference.as_deref(), row.candidate.as_deref()) {
            let channel = cursor.channel as usize;
            if let (Some(&x), Some(&y)) = (a.values.get(channel), b.values.get(channel)) {
                facts.push(format!(
                    "channel {channel}: reference {}, candidate {}",
                    value(x, 4),
                    value(y, 4)
                ));
            }
            if let Some(&channel) = worst(&a, &b).first() {
                let (x, y) = (a.values[channel], b.values[channel]);
                facts.push(format!("differs most at channel {channel}, by {}", value(difference(x, y), 2)));
            }
        } else {
            let there = if row.reference.is_some() { "the reference has" } else { "the candidate has" };
            let none = row.reference.is_none() && row.candidate.is_none();
            facts.push(if none { "not read".to_owned() } else { format!("only {there} it") });
        }
        out.push(format!("  {}: {}", row.checkpoint, facts.join(", ")));
    }
    out
}

/// Where each head of the cursor's layer looks most.
fn attention(app: &App, focus: &Focus) -> Vec<String> {
    let Some(scores) = focus.scores.as_deref() else { return Vec::new() };
    let sides = [(Which::Reference, &scores.reference), (Which::Candidate, &scores.candidate)];
    let mut out: Vec<String> = sides
        .iter()
        .map(|(side, found)| match found {
            Ok(found) => format!("{side}: {} at position {}", found.checkpoint, focus.position),
            Err(why) => format!("{side}: {why}"),
        })
        .collect();
    let width = |found: &Attention| found.tensor.shape.first().map_or(1, |&n| n.max(1) as usize);
    let heads = |found: &Attention| found.tensor.values.len().div_ceil(width(found));
    let all = sides.iter().filter_map(|(_, found)| found.as_ref().ok()).map(heads).max().unwrap_or(0);
    for head in 0..all {
        let looks = sides.iter().filter_map(|(side, found)| {
            let found = found.as_ref().ok()?;
            let row = found.tensor.values.chunks(width(found)).nth(head)?;
            let (at, &most) = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
            let token = u32::try_from(at).ok().and_then(|at| app.slot(at));
            let token = token.and_then(|slot| app.token(app.axis()[slot]));
            let token = token.map(|token| format!(" “{}”", token.text)).unwrap_or_default();
            Some(format!("{side} most at position {at}{token}, {}", value(most, 3)))
        });
        let looks: Vec<String> = looks.collect();
        out.push(format!("  head {head}: {}", looks.join("; ")));
    }
    out
}

/// Whether the facts of a view change as long as anything is recorded, so that they are said when asked for.
pub(super) fn flows(view: View) -> bool {
    matches!(view, View::Records | View::Garbage | View::Diagnosis)
}

/// What tells the facts of one moment from those of another: the view, and the place that it shows.
pub(super) fn place(app: &App) -> (View, u32, Checkpoint, u32) {
    let cursor = app.cursor();
    (app.view(), cursor.position, cursor.checkpoint, cursor.channel)
}
