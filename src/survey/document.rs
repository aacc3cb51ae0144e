//! The report of a survey: one document for people, one for programs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::picture;
use super::plan::Settings;
use super::result::Measured;
use super::surveyed::Surveyed;
use super::{study, tables};
use crate::document::{self, Document};
use crate::figures::count;
use crate::palette::Ground;
use crate::plot::{self, Format};
use crate::wording::Tone;

/// Why a report could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A picture, or a file.
    #[error(transparent)]
    Plot(#[from] plot::PlotError),
    /// A page.
    #[error(transparent)]
    Io(#[from] io::Error),
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
    computes and for which an engine or a logger is to blame. A padded vocabulary counts as none.";
/// Said of distances.
const DISTANCE: &str = "NMSE is the squared difference over the squared reference, summed over a row. The oracle is \
    our engine in f64 over the same file and tokens and stands for exact arithmetic.";
/// Share of cells above which one side is said to be the nearer one.
const NEARLY_ALL: f64 = 0.9;

impl Report<'_> {
    /// Writes the report in the format called `format`; its pictures are in `folder`, as seen from
    /// where the report will be.
    pub fn write(&self, format: &str, folder: &Path, out: &mut dyn Write) -> io::Result<()> {
        let unknown = || io::Error::other(format!("no format is called `{format}`"));
        match format {
            "json" => {
                serde_json::to_writer_pretty(&mut *out, &self.json())?;
                writeln!(out)
            }
            "markdown" => document::with_links(&self.document(false), folder, out),
            other => {
                let writer = document::format(other).ok_or_else(unknown)?;
                writer.write(&self.document(other == "csv"), out)
            }
        }
    }

    /// Writes the table with a line a model, and nothing else.
    pub fn write_compact(&self, format: &str, out: &mut dyn Write) -> io::Result<()> {
        let unknown = || io::Error::other(format!("no format is called `{format}`"));
        let mut page = Document::new("Parity");
        page.table(tables::compact(self.models));
        document::format(format).ok_or_else(unknown)?.write(&page, out)
    }

    /// Writes the report into `folder` in every format, with its pictures as PNG and SVG.
    pub fn save(&self, folder: &Path) -> Result<(), SaveError> {
        for picture in picture::all(self.models) {
            for (format, extension) in [(Format::Png, "png"), (Format::Svg, "svg")] {
                let bytes = picture.encode(format, Ground::Light)?;
                plot::output::write(&folder.join(picture.name).with_extension(extension), &bytes)?;
            }
        }
        for format in document::FORMATS {
            let path = folder.join("report").with_extension(extension(format.id()));
            let mut page = Vec::new();
            self.write(format.id(), Path::new(""), &mut anstream::StripStream::new(&mut page))?;
            plot::output::write(&path, &page)?;
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
        if tidy {
            page.table(tables::everything(self.models));
            page.table(tables::sites(self.models, true));
            page.table(tables::spread(self.models, true));
            page.table(tables::spread_sites(self.models));
            return page;
        }
        page.table(tables::garbage_rates(self.models));
        page.paragraph(Tone::Plain, GARBAGE);
        if self.models.iter().any(|m| m.published().is_some()) {
            page.paragraph(Tone::Plain, study::EXPLANATION);
        }
        page.table(tables::parity(self.models));
        page.table(tables::distance(self.models));
        page.paragraph(Tone::Plain, self.distance());
        for picture in picture::all(self.models) {
            if let Ok(svg) = picture.encode(Format::Svg, Ground::Light) {
                page.picture(picture.name, picture.caption, String::from_utf8_lossy(&svg).into_owned());
            }
        }
        for (i, model) in self.models.iter().enumerate() {
            let Ok(measured) = &model.outcome else { continue };
            page.heading(&model.entry.name);
            page.paragraph(Tone::Plain, description(measured));
            let one = &self.models[i..=i];
            page.table(tables::sites(one, false));
            page.table(tables::spread(one, false));
        }
        if !tables::changes(self.models).is_empty() {
            page.heading("llama.cpp against itself");
            page.paragraph(
                Tone::Plain,
                "One setting changed at a time, against its default: token by token, keys and values in f16, no \
                 flash attention. What it differs in then, no engine can be blamed for.",
            );
            page.list(
                tables::changes(self.models)
                    .iter()
                    .map(|c| (Tone::Plain, format!("{}: {}", c.id, c.what)))
                    .collect(),
            );
            page.table(tables::spread_sites(self.models));
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

    /// What distances from the oracle mean here.
    fn distance(&self) -> String {
        let measured = self.models.iter().filter_map(|m| m.outcome.as_ref().ok());
        let least = measured.map(|m| m.all.nearer_share()).fold(f64::INFINITY, f64::min);
        if !(NEARLY_ALL..=1.0).contains(&least) {
            return DISTANCE.to_owned();
        }
        format!(
            "{DISTANCE} Ours is the nearer one in at least {} of the cells of every model: what separates both is the \
             reference's rounding. llama.cpp rounds the activations that it multiplies with quantised weights, and \
             keys and values to f16.",
            crate::figures::percent(least)
        )
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
}

/// A file's extension by format.
fn extension(format: &str) -> &str {
    match format {
        "markdown" => "md",
        "text" => "txt",
        other => other,
    }
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
        let _ = write!(out, " The first token is the same at {} of {} positions", l.agree, l.positions);
        if let Some(margin) = l.margin {
            let _ = write!(
                out,
                "; where it is not, the reference's leads its second by {} at most",
                crate::figures::figure(margin.0)
            );
        }
        out += ".";
    }
    for (side, garbage) in [("reference", &m.reference.garbage), ("ours", &m.candidate.garbage)] {
        if garbage.bad_records > 0 {
            let _ =
                write!(out, " Garbage in {} of {} records of {side}.", garbage.bad_records, garbage.records);
        }
    }
    out
}
