//! The tables of a survey's report.

use super::figure::Range;
use super::result::{Garbage, LogitFigures, Measured, SiteFigures};
use super::spread::{CHANGES, Change};
use super::surveyed::Surveyed;
use crate::document::{Column, Table, Value};
use crate::wording::Tone;

/// A column of the tables that have a line a model.
struct Field {
    id: &'static str,
    /// Heading where other columns might be mistaken for it.
    title: &'static str,
    /// Heading in a table of its own kind.
    short: &'static str,
    unit: Option<&'static str>,
    value: fn(&Surveyed, &Measured) -> Value,
}

const fn field(
    id: &'static str,
    title: &'static str,
    short: &'static str,
    value: fn(&Surveyed, &Measured) -> Value,
) -> Field {
    Field { id, title, short, unit: None, value }
}

impl Field {
    const fn nats(self) -> Self {
        Self { unit: Some("nats"), ..self }
    }
}

fn logits(m: &Measured, figure: impl Fn(&LogitFigures) -> Value) -> Value {
    m.logits.as_ref().map_or(Value::Missing, figure)
}

static FIELDS: &[Field] = &[
    field("weights", "weights", "weights", |_, m| m.kind.weights.as_str().into()),
    field("positions", "positions", "pos.", |_, m| m.positions.into()),
    field("published_model", "the study's model", "the study's model", |s, _| {
        Value::or_missing(s.published().map(|row| row.model))
    }),
    field("published_garbage", "garbage, published", "published", |s, _| {
        s.published().map_or(Value::Missing, |row| Value::Percent(row.garbage))
    }),
    field("reference_garbage", "garbage, reference", "reference", |_, m| garbage(&m.reference.garbage)),
    field("candidate_garbage", "garbage, ours", "ours", |_, m| garbage(&m.candidate.garbage)),
    field("top1", "same first token", "same token", |_, m| {
        logits(m, |l| Value::Percent(l.agree as f64 / l.positions as f64))
    }),
    field("kl_median", "KL median", "KL", |_, m| logits(m, |l| l.kl.median.0.into())).nats(),
    field("kl_worst", "KL worst", "worst", |_, m| logits(m, |l| l.kl.worst.0.into())).nats(),
    field("nmse_median", "NMSE median", "NMSE", |_, m| median(m.all.nmse)),
    field("nmse_worst", "NMSE worst", "worst", |_, m| worst(m.all.nmse)),
    field("reference_off_median", "reference from oracle, median", "ref. off", |_, m| {
        median(m.all.reference_off)
    }),
    field("reference_off_worst", "reference from oracle, worst", "worst", |_, m| worst(m.all.reference_off)),
    field("candidate_off_median", "ours from oracle, median", "ours off", |_, m| median(m.all.candidate_off)),
    field("candidate_off_worst", "ours from oracle, worst", "worst", |_, m| worst(m.all.candidate_off)),
    field("nearer", "ours nearer to the oracle", "ours nearer", |_, m| nearer(&m.all)),
    field("verdict", "verdict", "verdict", |_, m| verdict(m)),
];

/// What is shown where there is room for a few columns.
const COMPACT: &[&str] = &[
    "published_model",
    "published_garbage",
    "reference_garbage",
    "candidate_garbage",
    "top1",
    "kl_worst",
    "nmse_median",
    "nmse_worst",
    "verdict",
];

/// Everything, one line a model.
pub(super) fn everything(models: &[Surveyed]) -> Table {
    let all: Vec<&str> = FIELDS.iter().map(|f| f.id).collect();
    by_model("parity", models, &all, false)
}

/// The most telling columns, one line a model.
pub(super) fn compact(models: &[Surveyed]) -> Table {
    by_model("parity", models, COMPACT, false)
}

/// The garbage rates published and measured.
pub(super) fn garbage_rates(models: &[Surveyed]) -> Table {
    let ids = ["published_model", "published_garbage", "reference_garbage", "candidate_garbage"];
    by_model("garbage", models, &ids, true).caption("Garbage rates, published by the study and measured here")
}

/// How far our engine is from the reference.
pub(super) fn parity(models: &[Surveyed]) -> Table {
    let ids = ["positions", "top1", "kl_median", "kl_worst", "nmse_median", "nmse_worst"];
    by_model("parity", models, &ids, true)
        .caption("Ours against the reference: medians and worst cases, KL in nats")
}

/// How far both are from the oracle.
pub(super) fn distance(models: &[Surveyed]) -> Table {
    let ids = [
        "reference_off_median",
        "reference_off_worst",
        "candidate_off_median",
        "candidate_off_worst",
        "nearer",
    ];
    by_model("distance", models, &ids, true).caption("NMSE of both against the oracle")
}

fn by_model(name: &str, models: &[Surveyed], ids: &[&str], short: bool) -> Table {
    let fields: Vec<&Field> = ids.iter().filter_map(|id| FIELDS.iter().find(|f| f.id == *id)).collect();
    let mut columns = vec![Column::new("model", "model")];
    columns.extend(fields.iter().map(|f| {
        let title = if short { f.short } else { f.title };
        Column { id: f.id, title: title.to_owned(), unit: f.unit.filter(|_| !short) }
    }));
    let mut table = Table::new(name, columns);
    for model in models {
        let mut row: Vec<Value> = vec![model.entry.name.as_str().into()];
        row.extend(fields.iter().map(|f| match &model.outcome {
            Ok(measured) => (f.value)(model, measured),
            Err(_) if f.id == "verdict" => Value::Text("not surveyed".into()).toned(Tone::Bad),
            Err(_) => Value::Missing,
        }));
        table.row(row);
    }
    table
}

/// One line a kind of checkpoint; with the model's name in front where there are several.
pub(super) fn sites(models: &[Surveyed], named: bool) -> Table {
    let mut columns = vec![
        Column::new("checkpoint", "checkpoint"),
        Column::new("nmse_median", "NMSE"),
        Column::new("nmse_worst", "worst"),
        Column::new("reference_off_median", "ref. off"),
        Column::new("reference_off_worst", "worst"),
        Column::new("candidate_off_median", "ours off"),
        Column::new("candidate_off_worst", "worst"),
        Column::new("nearer", "ours nearer"),
    ];
    if named {
        columns.insert(0, Column::new("model", "model"));
        columns.insert(1, Column::new("weights", "weights"));
        columns.insert(3, Column::new("cells", "cells"));
    }
    let name = if named { "checkpoints".to_owned() } else { id("checkpoints", models) };
    let mut table = Table::new(name, columns);
    for model in models {
        let Ok(m) = &model.outcome else { continue };
        for site in m.sites.iter().chain([&m.all]) {
            let mut row: Vec<Value> = Vec::new();
            if named {
                row.extend([model.entry.name.as_str().into(), m.kind.weights.as_str().into()]);
            }
            row.push(site.site.as_str().into());
            if named {
                row.push(site.nmse.of.into());
            }
            for range in [site.nmse, site.reference_off, site.candidate_off] {
                row.extend([median(range), worst(range)]);
            }
            row.push(nearer(site));
            table.row(row);
        }
    }
    table
}

/// One line a changed setting of llama.cpp.
pub(super) fn spread(models: &[Surveyed], named: bool) -> Table {
    let mut columns = vec![
        Column::new("change", "llama.cpp with"),
        Column::new("cells", "cells"),
        Column::new("equal", "same bits"),
        Column::new("nmse_median", "NMSE"),
        Column::new("nmse_worst", "worst"),
        Column::new("top1", "same first token"),
        Column::new("kl_median", "KL").unit("nats"),
        Column::new("kl_worst", "worst").unit("nats"),
        Column::new("remark", "remark"),
    ];
    if named {
        columns.insert(0, Column::new("model", "model"));
    }
    let name = if named { "spread".to_owned() } else { id("spread", models) };
    let mut table = Table::new(name, columns);
    for model in models {
        for variant in model.outcome.iter().flat_map(|m| &m.spread) {
            let mut row: Vec<Value> = Vec::new();
            if named {
                row.push(model.entry.name.as_str().into());
            }
            row.push(variant.id.as_str().into());
            match &variant.outcome {
                Ok(figures) => {
                    let all = &figures.all;
                    row.push(all.nmse.of.into());
                    row.push(Value::Percent(all.equal as f64 / all.nmse.of as f64));
                    row.extend([median(all.nmse), worst(all.nmse)]);
                    if let Some(l) = &figures.logits {
                        row.push(Value::Percent(l.agree as f64 / l.positions as f64));
                        row.extend([l.kl.median.0.into(), l.kl.worst.0.into()]);
                    }
                }
                Err(message) => {
                    row.resize(table.columns.len() - 1, Value::Missing);
                    row.push(message.as_str().into());
                }
            }
            table.row(row);
        }
    }
    table
}

/// The changes that were made to llama.cpp's settings.
pub(super) fn changes(models: &[Surveyed]) -> Vec<&'static Change> {
    let is_done =
        |id: &str| models.iter().flat_map(|m| &m.outcome).any(|m| m.spread.iter().any(|v| v.id == id));
    CHANGES.iter().filter(|c| is_done(c.id)).collect()
}

/// Kinds of checkpoint down, changed settings across: the worst NMSE of any model.
pub(super) fn spread_sites(models: &[Surveyed]) -> Table {
    let mut columns = vec![Column::new("model", "model"), Column::new("checkpoint", "checkpoint")];
    let done = changes(models);
    columns.extend(done.iter().map(|c| Column::new(c.id, c.id)));
    let mut table =
        Table::new("spread_checkpoints", columns).caption("Median NMSE against llama.cpp's default");
    for model in models {
        let Ok(measured) = &model.outcome else { continue };
        let of = |id: &str| {
            let variant = measured.spread.iter().find(|v| v.id == id)?;
            variant.outcome.as_ref().ok()
        };
        for site in measured.sites.iter().filter(|_| !measured.spread.is_empty()) {
            let mut row: Vec<Value> = vec![model.entry.name.as_str().into(), site.site.as_str().into()];
            row.extend(done.iter().map(|change| {
                let found = of(change.id).and_then(|f| f.sites.iter().find(|s| s.site == site.site));
                Value::or_missing(found.map(|s| s.nmse.median.0))
            }));
            table.row(row);
        }
    }
    table
}

/// Name of a table that there is one of a model.
fn id(what: &str, models: &[Surveyed]) -> String {
    let name = models.first().map(|m| m.entry.name.as_str()).unwrap_or_default();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{what}_{plain}")
}

fn garbage(garbage: &Garbage) -> Value {
    match garbage.rate() {
        rate if rate.is_nan() => Value::Missing,
        rate if rate > 0.0 => Value::Percent(rate).toned(Tone::Bad),
        rate => Value::Percent(rate),
    }
}

fn median(range: Range) -> Value {
    if range.of == 0 { Value::Missing } else { range.median.0.into() }
}

fn worst(range: Range) -> Value {
    if range.of == 0 { Value::Missing } else { range.worst.0.into() }
}

fn nearer(site: &SiteFigures) -> Value {
    let share = site.nearer_share();
    if share.is_nan() { Value::Missing } else { Value::Percent(share) }
}

fn verdict(measured: &Measured) -> Value {
    let tone = match measured.verdict.exit_code {
        0 => Tone::Good,
        1 => Tone::Bad,
        _ => Tone::Caution,
    };
    Value::Text(measured.verdict.text.first().cloned().unwrap_or_default()).toned(tone)
}
