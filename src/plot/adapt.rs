//! From a session's snapshot to the plain data of each picture.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::growth::{GrowthData, GrowthPoint};
use super::heatmap::HeatmapData;
use super::histogram::HistogramData;
use super::map::{MapCell, MapData, MapRow, Mark};
use super::positions::{PositionPoint, PositionsData};
use super::scatter::ScatterData;
use super::table::{TableData, TableRow};
use super::tokens::{TokenChip, TokensData};
use super::topk::{TopKData, TopRow};
use super::{Cursor, Scene};
use crate::compare::metrics::worse;
use crate::compare::{CellMetrics, CellState, Column, Divergence, Severity, TopEntry, Verdict};
use crate::figures;
use crate::garbage::{Blame, Finding};
use crate::model::Checkpoint;
use crate::model::checkpoint::{CaptureSet, Phase};
use crate::palette::Shade;
use crate::session::{Attention, DiagnosisState, Focus, Snapshot, alike};
use crate::text::safe;
use crate::trace::Tensor;
use crate::wording::{Sentence, Tone, times};

/// The first divergence, if there is one.
fn divergence(snapshot: &Snapshot) -> Option<&Divergence> {
    match snapshot.verdict.as_ref() {
        Verdict::Diverged { first, .. } => Some(first),
        _ => None,
    }
}

/// Whether the snapshot is that of one run, to which no other is compared.
pub fn is_alone(snapshot: &Snapshot) -> bool {
    snapshot.candidate.team.is_empty() && *snapshot.verdict == Verdict::Pending
}

fn mark_label(first: &Divergence) -> String {
    format!(
        "first divergence: position {}, {}, {} noise",
        first.position,
        first.checkpoint,
        times(first.severity)
    )
}

fn column_of(snapshot: &Snapshot, position: u32) -> Option<usize> {
    snapshot.columns.binary_search_by_key(&position, |c| c.position).ok()
}

/// Text of each column's token.
fn column_texts(snapshot: &Snapshot) -> Vec<String> {
    let by_position: HashMap<u32, &str> =
        snapshot.tokens.iter().map(|t| (t.position, t.text.as_str())).collect();
    let text = |position| safe(by_position.get(&position).copied().unwrap_or_default()).into_owned();
    snapshot.columns.iter().map(|c| text(c.position)).collect()
}

/// The focused cell's values, if they are those of the cursor.
pub fn focus<'a>(scene: &Scene<'a>) -> Option<&'a Focus> {
    let Cursor { position, checkpoint } = scene.cursor;
    scene.snapshot.focus.as_deref().filter(|f| f.position == position && f.checkpoint == checkpoint)
}

/// A map whose rows are groups of checkpoints; `row_of` gives the group, the uppermost row first.
fn fold(
    snapshot: &Snapshot,
    cursor: Cursor,
    row_title: &str,
    labels: Vec<(String, Option<usize>)>,
    row_of: impl Fn(Checkpoint) -> Option<usize>,
) -> MapData {
    let width = snapshot.columns.len();
    let mut rows: Vec<MapRow> = labels
        .into_iter()
        .map(|(label, number)| MapRow { label, number, cells: vec![MapCell::default(); width] })
        .collect();
    let mut worst: HashMap<(usize, usize), Checkpoint> = HashMap::new();
    for (index, column) in snapshot.columns.iter().enumerate() {
        for cell in &column.cells {
            let Some(row) = row_of(cell.checkpoint) else { continue };
            let Some(target) = rows.get_mut(row).and_then(|r| r.cells.get_mut(index)) else { continue };
            let shade = Shade::of(&cell.state);
            // Of equals the first in order of execution stands for the group: errors spread.
            if shade > target.shade {
                target.shade = shade;
                worst.insert((row, index), cell.checkpoint);
            }
            if let CellState::Compared { severity, .. } = cell.state
                && target.severity.is_none_or(|s| !(severity.0 <= s.0))
            {
                target.severity = Some(severity);
            }
        }
    }
    for ((row, column), checkpoint) in worst {
        rows[row].cells[column].worst = checkpoint.to_string();
    }
    if let DiagnosisState::Done(found) = &snapshot.diagnosis {
        for faulty in &found.faulty {
            let columns = faulty.positions.iter().filter_map(|&position| column_of(snapshot, position));
            let Some(row) = row_of(faulty.checkpoint).and_then(|row| rows.get_mut(row)) else { continue };
            for column in columns {
                if let Some(cell) = row.cells.get_mut(column) {
                    cell.faulty = true;
                }
            }
        }
    }
    let place = |position: u32, checkpoint: Checkpoint| {
        Some((column_of(snapshot, position)?, row_of(checkpoint).filter(|r| *r < rows.len())?))
    };
    let mark = divergence(snapshot).and_then(|first| {
        let (column, row) = place(first.position, first.checkpoint)?;
        Some(Mark { column, row, label: mark_label(first) })
    });
    MapData {
        row_title: row_title.to_owned(),
        positions: snapshot.columns.iter().map(|c| c.position).collect(),
        texts: column_texts(snapshot),
        cursor: place(cursor.position, cursor.checkpoint),
        mark,
        rows,
    }
}

fn group(checkpoint: Checkpoint) -> (Phase, usize) {
    (checkpoint.site().phase(), checkpoint.layer_index().unwrap_or(0))
}

/// The parity map: a row a layer, outputs above, inputs below.
pub fn map(scene: &Scene<'_>) -> MapData {
    let mut groups: Vec<(Phase, usize)> = scene.snapshot.rows.iter().map(|c| group(*c)).collect();
    groups.dedup();
    groups.reverse();
    let labels = groups
        .iter()
        .map(|(phase, layer)| match phase {
            Phase::Input => ("in".to_owned(), None),
            Phase::Layer => (format!("l {layer}"), Some(*layer)),
            Phase::Output => ("out".to_owned(), None),
        })
        .collect();
    let index: HashMap<_, _> = groups.iter().enumerate().map(|(i, g)| (*g, i)).collect();
    fold(scene.snapshot, scene.cursor, "layer", labels, |c| index.get(&group(c)).copied())
}

/// The checkpoints of the cursor's layer (or of the inputs, or the outputs), the last one above.
pub fn layer(scene: &Scene<'_>) -> MapData {
    let here = group(scene.cursor.checkpoint);
    let mut chosen: Vec<Checkpoint> =
        scene.snapshot.rows.iter().copied().filter(|c| group(*c) == here).collect();
    chosen.reverse();
    let labels = chosen.iter().map(|c| (c.site().name().to_owned(), None)).collect();
    let index: HashMap<_, _> = chosen.iter().enumerate().map(|(i, c)| (*c, i)).collect();
    fold(scene.snapshot, scene.cursor, "checkpoint", labels, |c| index.get(&c).copied())
}

/// Name of the group that [`layer`] shows.
pub fn layer_name(checkpoint: Checkpoint) -> String {
    match group(checkpoint) {
        (Phase::Input, _) => "inputs".to_owned(),
        (Phase::Layer, layer) => format!("layer {layer}"),
        (Phase::Output, _) => "outputs".to_owned(),
    }
}

/// The values under the cursor.
pub fn heatmap<'a>(scene: &Scene<'a>) -> HeatmapData<'a> {
    focus(scene)
        .map(|f| HeatmapData {
            reference: f.reference.as_ref(),
            candidate: f.candidate.as_ref(),
            alone: is_alone(scene.snapshot),
        })
        .unwrap_or_default()
}

/// The cursor's site in every layer, the last one above.
pub fn channels<'a>(scene: &Scene<'a>) -> TableData<'a> {
    let layers = focus(scene).and_then(|focus| focus.layers.as_deref());
    let values = |tensor: Option<Cow<'a, Tensor>>| {
        tensor.map(|tensor| match tensor {
            Cow::Borrowed(tensor) => Cow::Borrowed(tensor.values.as_slice()),
            Cow::Owned(tensor) => Cow::Owned(tensor.values),
        })
    };
    let rows: Vec<TableRow<'a>> = layers
        .iter()
        .flat_map(|layers| layers.rows.iter().rev())
        .map(|row| {
            let (a, b) = alike(row.reference.as_deref(), row.candidate.as_deref());
            let name = row.checkpoint.to_string();
            let label =
                row.checkpoint.layer_index().map_or_else(|| name.clone(), |layer| format!("l {layer}"));
            TableRow { label, name, sides: [values(a), values(b)] }
        })
        .collect();
    let at = layers.and_then(|layers| {
        layers.rows.iter().rev().position(|row| row.checkpoint == scene.cursor.checkpoint)
    });
    TableData {
        row_title: "layer",
        column_title: "channel",
        rows,
        cursor: (at, None),
        alone: is_alone(scene.snapshot),
        ..TableData::default()
    }
}

/// What each head of the cursor's layer looks at.
pub fn attention<'a>(scene: &Scene<'a>) -> TableData<'a> {
    let Some(scores) = focus(scene).and_then(|focus| focus.scores.as_deref()) else {
        return TableData { row_title: "head", column_title: "position", ..TableData::default() };
    };
    let sides = [&scores.reference, &scores.candidate];
    let width = |found: &Attention| found.tensor.shape.first().map_or(1, |&n| n.max(1) as usize);
    let mut heads = sides.map(|side| {
        let values = side.as_ref().map(|found| found.tensor.values.chunks(width(found)));
        values.unwrap_or_else(|_| [].chunks(1))
    });
    let mut rows = Vec::new();
    loop {
        let both = heads.each_mut().map(Iterator::next);
        if both == [None, None] {
            break;
        }
        let name = rows.len().to_string();
        rows.push(TableRow {
            label: format!("h {name}"),
            name,
            sides: both.map(|row| row.map(Cow::Borrowed)),
        });
    }
    TableData {
        row_title: "head",
        column_title: "position",
        rows,
        missing: sides.map(|side| side.as_ref().err().map(|why| safe(why).into_owned())),
        cursor: (None, None),
        alone: is_alone(scene.snapshot),
    }
}

/// The most likely tokens at the cursor's position.
pub fn top(scene: &Scene<'_>) -> TopKData {
    let Some(focus) = scene.snapshot.focus.as_deref().filter(|f| f.position == scene.cursor.position) else {
        return TopKData::default();
    };
    let pieces: HashMap<u32, &str> = focus.pieces.iter().map(|(id, text)| (*id, text.as_str())).collect();
    let rows = |entries: &[TopEntry]| {
        entries
            .iter()
            .map(|e| TopRow {
                token: e.token,
                // A token without text is named by its id; quotes would make a text of it.
                text: match pieces.get(&e.token) {
                    Some(text) if *text != format!("#{}", e.token) => safe(text).into_owned(),
                    _ => String::new(),
                },
                logit: e.logit,
                probability: e.probability,
                other_rank: e.other_rank,
            })
            .collect()
    };
    TopKData {
        reference: rows(&focus.top.reference),
        candidate: rows(&focus.top.candidate),
        alone: is_alone(scene.snapshot),
    }
}

fn worst_shade(column: &Column) -> Shade {
    column.cells.iter().map(|c| Shade::of(&c.state)).max().unwrap_or_default()
}

/// The tokens with their flags.
pub fn tokens(scene: &Scene<'_>) -> TokensData {
    let snapshot = scene.snapshot;
    // Figures of two different computations mean nothing.
    let is_same = !matches!(*snapshot.verdict, Verdict::DifferentComputation { .. });
    let tokens: Vec<TokenChip> = snapshot
        .tokens
        .iter()
        .map(|t| {
            let column = column_of(snapshot, t.position).map(|i| &snapshot.columns[i]);
            let mut chip = TokenChip {
                position: t.position,
                id: t.id,
                text: safe(&t.text).into_owned(),
                from_prompt: t.from_prompt,
                shade: column.filter(|_| is_same).map_or(Shade::Empty, |c| worst_shade(c)),
                ..TokenChip::default()
            };
            let found =
                column.into_iter().flat_map(|c| c.garbage_reference.iter().chain(&c.garbage_candidate));
            for finding in found {
                if !chip.flags.contains(finding.glyph) {
                    chip.flags.push(finding.glyph);
                }
                if !chip.classes.contains(&finding.class) {
                    chip.classes.push(finding.class);
                }
            }
            chip
        })
        .collect();
    let cursor = tokens.iter().position(|t| t.position == scene.cursor.position);
    TokensData { tokens, cursor }
}

/// The error of each checkpoint at the cursor's position, and the worst of all positions.
pub fn growth(scene: &Scene<'_>) -> GrowthData {
    let snapshot = scene.snapshot;
    let figures = |state: &CellState| match state {
        CellState::Compared { metrics, severity, .. } => Some((metrics.nmse, *severity)),
        _ => None,
    };
    let mut worst: HashMap<Checkpoint, (f64, Severity)> = HashMap::new();
    for cell in snapshot.columns.iter().flat_map(|c| &c.cells) {
        if let Some(new) = figures(&cell.state) {
            let entry = worst.entry(cell.checkpoint).or_insert(new);
            // Written so that NaN wins and stays.
            if !(new.0 <= entry.0 || entry.0.is_nan()) {
                *entry = new;
            }
        }
    }
    let column = column_of(snapshot, scene.cursor.position).map(|i| &snapshot.columns[i]);
    let points = snapshot
        .rows
        .iter()
        .map(|c| GrowthPoint {
            label: c.to_string(),
            layer: c.layer_index(),
            stream: CaptureSet::Layers.contains(*c),
            here: column.and_then(|col| col.cell(*c)).and_then(|cell| figures(&cell.state)),
            worst: worst.get(c).copied(),
        })
        .collect();
    let mark = divergence(snapshot).and_then(|first| {
        let index = snapshot.rows.iter().position(|c| *c == first.checkpoint)?;
        Some((index, mark_label(first)))
    });
    GrowthData { position: scene.cursor.position, points, mark }
}

/// The error at every position.
pub fn positions(scene: &Scene<'_>) -> PositionsData {
    let snapshot = scene.snapshot;
    let point = |column: &Column| {
        let mut errors: Vec<f64> = compared(column).map(|(m, _)| m.nmse).collect();
        let worst = errors.iter().copied().reduce(worse);
        let middle = errors.len().saturating_sub(1) / 2;
        let median = (!errors.is_empty()).then(|| *errors.select_nth_unstable_by(middle, f64::total_cmp).1);
        let logits = match column.cell(Checkpoint::LOGITS).map(|c| c.state) {
            Some(CellState::Compared { metrics, .. }) => Some(metrics.nmse),
            _ => None,
        };
        PositionPoint {
            position: column.position,
            median,
            worst,
            logits,
            kl: column.logits.map(|l| l.kl),
            top1_agrees: column.logits.map(|l| l.top1_agrees),
        }
    };
    PositionsData {
        points: snapshot.columns.iter().map(|c| point(c)).collect(),
        mark: divergence(snapshot).and_then(|d| Some((column_of(snapshot, d.position)?, mark_label(d)))),
    }
}

fn compared(column: &Column) -> impl Iterator<Item = (CellMetrics, Severity)> {
    column.cells.iter().filter_map(|cell| match cell.state {
        CellState::Compared { metrics, severity, .. } => Some((metrics, severity)),
        _ => None,
    })
}

/// Both sides' values under the cursor.
pub fn scatter<'a>(scene: &Scene<'a>) -> ScatterData<'a> {
    let Some(focus) = focus(scene) else { return ScatterData::default() };
    let values = |t: &'a Option<Tensor>| t.as_ref().map_or(&[][..], |t| &t.values);
    let is_logits = focus.checkpoint == Checkpoint::LOGITS;
    ScatterData {
        reference: values(&focus.reference),
        candidate: values(&focus.candidate),
        names: if is_logits { focus.pieces.clone() } else { Vec::new() },
    }
}

/// The differences under the cursor, by size.
pub fn differences(scene: &Scene<'_>) -> HistogramData {
    let both = scatter(scene);
    let size = |(r, c): (&f32, &f32)| {
        // The same NaN or infinity on both sides is no difference.
        if r == c || (r.is_nan() && c.is_nan()) { 0.0 } else { (f64::from(*c) - f64::from(*r)).abs() }
    };
    let sizes: Vec<f64> = both.reference.iter().zip(both.candidate).map(size).collect();
    let data = HistogramData {
        noun: "value",
        axis: "|candidate − reference|".to_owned(),
        zero_is: "equal",
        ..HistogramData::default()
    };
    data.counting(&sizes)
}

/// The severities of all cells.
pub fn severities(scene: &Scene<'_>) -> HistogramData {
    let cells = scene.snapshot.columns.iter().flat_map(|c| compared(c));
    let sizes: Vec<f64> = cells.map(|(_, severity)| f64::from(severity.0)).collect();
    let data = HistogramData {
        noun: "cell",
        axis: "severity, × noise".to_owned(),
        severities: true,
        limit: (!sizes.is_empty()).then_some((f64::from(Severity::LIMIT), "limit of noise")),
        zero_is: "equal",
        ..HistogramData::default()
    };
    data.counting(&sizes)
}

/// One sentence a class of garbage and side: its flag, how many positions, the first one's evidence.
pub fn garbage(snapshot: &Snapshot) -> Vec<Sentence> {
    let mut found: BTreeMap<(&str, &str), (usize, u32, &Finding)> = BTreeMap::new();
    for column in &snapshot.columns {
        let sides = [("reference", &column.garbage_reference), ("candidate", &column.garbage_candidate)];
        for (side, findings) in sides {
            let mut seen: Vec<&str> = Vec::new();
            for finding in findings {
                let entry = found.entry((finding.class, side)).or_insert((0, column.position, finding));
                if !seen.contains(&finding.class) {
                    seen.push(finding.class);
                    entry.0 += 1;
                }
            }
        }
    }
    found
        .into_iter()
        .map(|((class, side), (count, position, first))| Sentence {
            tone: if first.blame == Blame::Nobody { Tone::Plain } else { Tone::Caution },
            text: format!(
                "{} {class} in the {side} at {}; first at {position}, {}: {}",
                first.glyph,
                figures::count(count, "position"),
                first.checkpoint,
                safe(&first.evidence)
            ),
        })
        .collect()
}
