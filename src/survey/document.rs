//! The report of a survey: one document for people, one for programs.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::picture;
use super::plan::{Entry, Settings};
use super::result::{Garbage, Measured, SiteFigures};
use super::spread::CHANGES;
use super::study;
use crate::report::document::{self, Column, Document, Table, Value};
use crate::wording::{Tone, count};

/// A model with what is known of it, or why nothing is.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The model.
    pub entry: Entry,
    /// The figures, or what went wrong.
    pub outcome: Result<Measured, String>,
}

impl Surveyed {
    /// Exit code of this model alone: that of its verdict, 2 where it failed.
    pub fn exit_code(&self) -> u8 {
        self.outcome.as_ref().map_or(2, |measured| measured.verdict.exit_code)
    }

    fn published(&self) -> Option<&'static study::Row> {
        study::row(&self.outcome.as_ref().ok()?.kind)
    }
}

/// What a survey found.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Under which settings.
    pub settings: &'a Settings,
    /// By model, in the order given.
    pub models: &'a [Surveyed],
}

/// Said of the columns of garbage rates.
const GARBAGE: &str = "Garbage rate: the share of positions whose logits hold values that no correct engine \
    computes and for which an engine or a logger is to blame (`paritty analyze` names the classes). A padded \
    vocabulary counts as none.";
/// Said of distances.
const DISTANCE: &str = "NMSE is the squared difference over the squared reference, summed over a row. The oracle is \
    our engine in f64 over the same file and tokens and stands for exact arithmetic. llama.cpp rounds the \
    activations that it multiplies with quantised weights, and keys and values to f16; our engine computes both in \
    f32. So ours is nearer to the oracle nearly everywhere, and the distance between the two is llama.cpp's own.";

impl Report<'_> {
    /// Writes the report in the format called `format`.
    pub fn write(&self, format: &str, compact: bool, out: &mut dyn Write) -> io::Result<()> {
        if format == "json" {
            serde_json::to_writer_pretty(&mut *out, &self.json())?;
            return writeln!(out);
        }
        let unknown = || io::Error::other(format!("no format is called `{format}`"));
        let writer = document::format(format).ok_or_else(unknown)?;
        if compact {
            let mut page = Document::new("Parity");
            page.table(self.parity());
            return writer.write(&page, out);
        }
        writer.write(&self.document(format == "csv"), out)
    }

    /// Writes the report into `folder` in every format, with its pictures.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        for format in document::FORMATS {
            let mut page = Vec::new();
            self.write(format.id(), false, &mut page)?;
            fs::write(folder.join("report").with_extension(extension(format.id())), page)?;
        }
        Ok(())
    }

    /// Everything that is known, for programs.
    pub fn json(&self) -> serde_json::Value {
        let models: Vec<_> = self
            .models
            .iter()
            .map(|m| {
                let mut object = json!({
                    "name": m.entry.name,
                    "file": m.entry.model,
                    "exit_code": m.exit_code(),
                    "published": m.published().map(|row| json!({ "model": row.model, "garbage_rate": row.garbage })),
                });
                match &m.outcome {
                    Ok(measured) => object["measured"] = json!(measured),
                    Err(message) => object["error"] = json!(message),
                }
                object
            })
            .collect();
        json!({ "settings": self.settings, "models": models })
    }

    /// The report. `tidy`: one long table of each kind, for programs, instead of one a model.
    pub fn document(&self, tidy: bool) -> Document {
        let mut page = Document::new("Parity survey");
        let (tone, headline) = self.headline();
        page.paragraph(tone, headline);
        page.list(self.remarks());
        page.table(self.parity());
        if tidy {
            page.table(self.sites(self.models, true));
            page.table(self.spread(self.models, true));
            page.table(self.spread_sites());
            return page;
        }
        page.paragraph(Tone::Plain, GARBAGE);
        if self.models.iter().any(|m| m.published().is_some()) {
            page.paragraph(Tone::Plain, study::EXPLANATION);
            let caption = "Garbage rates: published by the study, and measured here";
            page.picture("garbage", caption, picture::garbage(self.models));
        }
        page.paragraph(Tone::Plain, DISTANCE);
        let caption = "Distance of our engine from the reference, by kind of checkpoint and model";
        page.picture("nmse", caption, picture::nmse(self.models));
        for (i, model) in self.models.iter().enumerate() {
            let Ok(measured) = &model.outcome else { continue };
            page.heading(&model.entry.name);
            page.paragraph(Tone::Plain, description(measured));
            let one = &self.models[i..=i];
            page.table(self.sites(one, false));
            page.table(self.spread(one, false));
        }
        if self.models.iter().any(|m| m.outcome.as_ref().is_ok_and(|m| !m.spread.is_empty())) {
            page.heading("llama.cpp against itself");
            page.paragraph(
                Tone::Plain,
                "One setting changed at a time, against its default: token by token, keys and values in f16, no \
                 flash attention. What it differs in then, no engine can be blamed for.",
            );
            page.list(CHANGES.iter().map(|c| (Tone::Plain, format!("{}: {}", c.id, c.what))).collect());
            page.table(self.spread_sites());
        }
        page
    }

    fn headline(&self) -> (Tone, String) {
        let with = |code: u8| self.models.iter().filter(|m| m.exit_code() == code).count();
        let parts = [
            (with(1), "diverging or with garbage"),
            (with(2), "not surveyed"),
            (with(3), "inconclusive"),
            (with(0), "within noise"),
        ];
        let text: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let tone = match (with(1) + with(2), with(3)) {
            (0, 0) => Tone::Good,
            (0, _) => Tone::Caution,
            _ => Tone::Bad,
        };
        (tone, format!("{}: {}", count(self.models.len(), "model"), text.join(", ")))
    }

    /// What is not as it should be, model by model.
    fn remarks(&self) -> Vec<(Tone, String)> {
        self.models
            .iter()
            .filter_map(|m| match &m.outcome {
                Err(message) => Some((Tone::Bad, format!("{}: {message}", m.entry.name))),
                Ok(measured) => {
                    let verdict = &measured.verdict;
                    let tone = if verdict.exit_code == 1 { Tone::Bad } else { Tone::Caution };
                    let said = || format!("{}: {}", m.entry.name, verdict.text.join("; "));
                    (verdict.exit_code != 0).then(|| (tone, said()))
                }
            })
            .collect()
    }

    /// One line a model.
    fn parity(&self) -> Table {
        let columns = vec![
            Column::new("model", "model"),
            Column::new("weights", "weights"),
            Column::new("positions", "positions"),
            Column::new("published_model", "the study's model"),
            Column::new("published_garbage", "garbage, published"),
            Column::new("reference_garbage", "garbage, reference"),
            Column::new("candidate_garbage", "garbage, ours"),
            Column::new("top1", "same first token"),
            Column::new("kl_median", "KL median").unit("nats"),
            Column::new("kl_worst", "KL worst").unit("nats"),
            Column::new("nmse_median", "NMSE median"),
            Column::new("nmse_worst", "NMSE worst"),
            Column::new("nearer", "ours nearer to the oracle"),
            Column::new("verdict", "verdict"),
        ];
        let mut table = Table::new("parity", columns);
        for model in self.models {
            let mut row: Vec<Value> = vec![model.entry.name.as_str().into()];
            match &model.outcome {
                Ok(m) => {
                    let published = model.published();
                    row.extend([m.kind.weights.as_str().into(), m.positions.into()]);
                    row.push(Value::or_missing(published.map(|row| row.model)));
                    row.push(published.map_or(Value::Missing, |row| Value::Percent(row.garbage)));
                    row.extend([garbage(&m.reference.garbage), garbage(&m.candidate.garbage)]);
                    let logits = m.logits.as_ref();
                    let share = |l: &super::result::LogitFigures| l.agree as f64 / l.positions as f64;
                    row.push(logits.map_or(Value::Missing, |l| Value::Percent(share(l))));
                    row.push(Value::or_missing(logits.map(|l| l.kl.median.0)));
                    row.push(Value::or_missing(logits.map(|l| l.kl.worst.0)));
                    row.extend([m.all.nmse.median.0.into(), m.all.nmse.worst.0.into()]);
                    row.push(nearer(&m.all));
                    row.push(verdict(m));
                }
                Err(_) => {
                    row.resize(table.columns.len() - 1, Value::Missing);
                    row.push(Value::Text("not surveyed".into()).toned(Tone::Bad));
                }
            }
            table.row(row);
        }
        table
    }

    /// One line a kind of checkpoint; with the model's name in front where there are several.
    fn sites(&self, models: &[Surveyed], named: bool) -> Table {
        let mut columns = vec![
            Column::new("checkpoint", "checkpoint"),
            Column::new("cells", "cells"),
            Column::new("nmse_median", "NMSE"),
            Column::new("nmse_worst", "worst"),
            Column::new("reference_off_median", "reference off"),
            Column::new("reference_off_worst", "worst"),
            Column::new("candidate_off_median", "ours off"),
            Column::new("candidate_off_worst", "worst"),
            Column::new("nearer", "ours nearer"),
        ];
        if named {
            columns.insert(0, Column::new("model", "model"));
            columns.insert(1, Column::new("weights", "weights"));
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
                row.extend([site.site.as_str().into(), site.cells.into()]);
                for range in [site.nmse, site.reference_off, site.candidate_off] {
                    row.extend([range.median.0.into(), range.worst.0.into()]);
                }
                row.push(nearer(site));
                table.row(row);
            }
        }
        table
    }

    /// One line a changed setting of llama.cpp.
    fn spread(&self, models: &[Surveyed], named: bool) -> Table {
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
                        row.push(all.cells.into());
                        row.push(Value::Percent(all.equal as f64 / all.cells as f64));
                        row.extend([all.nmse.median.0.into(), all.nmse.worst.0.into()]);
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

    /// Kinds of checkpoint down, changed settings across: the worst NMSE of any model.
    fn spread_sites(&self) -> Table {
        let mut columns = vec![Column::new("model", "model"), Column::new("checkpoint", "checkpoint")];
        columns.extend(CHANGES.iter().map(|c| Column::new(c.id, c.id)));
        let mut table =
            Table::new("spread_checkpoints", columns).caption("Median NMSE against llama.cpp's default");
        for model in self.models {
            let Ok(measured) = &model.outcome else { continue };
            let of = |id: &str| {
                let variant = measured.spread.iter().find(|v| v.id == id)?;
                variant.outcome.as_ref().ok()
            };
            for site in measured.sites.iter().filter(|_| !measured.spread.is_empty()) {
                let mut row: Vec<Value> = vec![model.entry.name.as_str().into(), site.site.as_str().into()];
                row.extend(CHANGES.iter().map(|change| {
                    let found = of(change.id).and_then(|f| f.sites.iter().find(|s| s.site == site.site));
                    Value::or_missing(found.map(|s| s.nmse.median.0))
                }));
                table.row(row);
            }
        }
        table
    }
}

/// A file's extension by format.
fn extension(format: &str) -> &str {
    match format {
        "markdown" => "md",
        "text" => "txt",
        other => other,
    }
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

/// A model and its runs in a few sentences.
fn description(m: &Measured) -> String {
    let mut out = format!(
        "{}: {} with a vocabulary of kind {}, {}, {} of {}, {}. Reference: {}. Ours: {}.",
        m.model,
        m.kind.arch,
        m.kind.vocabulary,
        m.kind.weights,
        count(m.layers as usize, "layer"),
        m.width,
        count(m.positions as usize, "position"),
        m.reference.engine,
        m.candidate.engine
    );
    if let Some(l) = &m.logits {
        out += &format!(" The first token is the same at {} of {} positions", l.agree, l.positions);
        if let Some(margin) = l.margin {
            out += &format!(
                "; where it is not, the reference's leads its second by {} at most",
                crate::wording::figure(margin.0)
            );
        }
        out += ".";
    }
    for (side, garbage) in [("reference", &m.reference.garbage), ("ours", &m.candidate.garbage)] {
        if garbage.bad_records > 0 {
            out += &format!(" Garbage in {} of {} records of {side}.", garbage.bad_records, garbage.records);
        }
    }
    out
}
