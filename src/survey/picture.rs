//! The pictures of a survey.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::surveyed::Surveyed;
use crate::figures::figure;
use crate::model::{Checkpoint, Site};
use crate::palette::{self, Ground};
use crate::plot::bars::{self, BarGroup, BarsData, Unit};
use crate::plot::canvas::{Area, Canvas};
use crate::plot::font::fit;
use crate::plot::output;
use crate::plot::{Format, PlotError, Style};

/// One of them.
pub struct Picture<'a> {
    /// Its file's name, without extension.
    pub name: &'static str,
    /// What is to be seen.
    pub caption: &'static str,
    encode: Box<dyn Fn(Format, Ground) -> Result<Vec<u8>, PlotError> + 'a>,
}

impl Picture<'_> {
    /// The bytes of a file of `format`.
    pub fn encode(&self, format: Format, ground: Ground) -> Result<Vec<u8>, PlotError> {
        (self.encode)(format, ground)
    }
}

/// The pictures that these models give.
pub fn all(models: &[Surveyed]) -> Vec<Picture<'_>> {
    let mut pictures = Vec::new();
    let rates = garbage(models);
    if !rates.groups.is_empty() {
        pictures.push(Picture {
            name: "garbage",
            caption: "Garbage rates: what the study published, and what is measured here of the same kind of model",
            encode: Box::new(move |format, ground| bars::bars(&rates, format, None, ground)),
        });
    }
    let nmse = Nmse::of(models);
    if !nmse.models.is_empty() {
        pictures.push(Picture {
            name: "nmse",
            caption: "Distance of our engine from the reference (median NMSE), by kind of checkpoint and model",
            encode: Box::new(move |format, ground| nmse.encode(format, ground)),
        });
    }
    pictures
}

/// Published and measured rates of the models that the study has one of, too.
fn garbage(models: &[Surveyed]) -> BarsData {
    let groups = models.iter().filter_map(|model| {
        let (row, measured) = (model.published()?, model.outcome.as_ref().ok()?);
        let rates = [&measured.reference, &measured.candidate].map(|side| side.garbage.rate());
        let values = [row.garbage, rates[0], rates[1]];
        Some(BarGroup {
            label: row.model.to_owned(),
            values: values.iter().map(|&rate| (!rate.is_nan()).then_some(rate)).collect(),
        })
    });
    BarsData {
        title: "Garbage rates, published and measured".into(),
        axis: "share of positions with garbage in their logits".into(),
        unit: Unit::Percent,
        series: vec!["published by the study".into(), "reference, here".into(), "our engine, here".into()],
        groups: groups.collect(),
        ..BarsData::default()
    }
}

/// Models drawn at most: more would be narrower than their figures.
const MOST: usize = 40;
/// Width of a character in these pictures, in pixels.
const UNIT: i32 = 8;
/// Exponents of ten at the ends of the scale: below the first there is f32's rounding and less, above
/// the last nothing of the reference is left.
const SCALE: [f64; 2] = [-14.0, 0.0];

/// Title of the picture of distances.
const TITLE: &str = "median NMSE of ours against the reference";

/// Median NMSE of our engine against the reference: kinds of checkpoint down, models across.
#[derive(Debug)]
struct Nmse<'a> {
    models: Vec<&'a Surveyed>,
    left_out: usize,
    sites: Vec<Site>,
}

impl<'a> Nmse<'a> {
    /// Of the models that were measured.
    fn of(models: &'a [Surveyed]) -> Self {
        let measured: Vec<&Surveyed> = models.iter().filter(|m| m.outcome.is_ok()).collect();
        let left_out = measured.len().saturating_sub(MOST);
        let models: Vec<&Surveyed> = measured.into_iter().take(MOST).collect();
        let sites: BTreeSet<Site> = models
            .iter()
            .filter_map(|m| m.outcome.as_ref().ok())
            .flat_map(|m| m.sites.iter().filter_map(|s| site(&s.site)))
            .collect();
        Self { models, left_out, sites: sites.into_iter().collect() }
    }

    fn encode(&self, format: Format, ground: Ground) -> Result<Vec<u8>, PlotError> {
        let style = Style::of_unit(UNIT, ground);
        let layout = Layout::of(self, &style);
        let picture = output::Picture { id: "nmse", title: TITLE, size: layout.size(self), style: &style };
        output::draw(&picture, format, &|canvas, area| self.draw(canvas, area, &style, layout), &|| {
            self.csv()
        })
    }

    fn csv(&self) -> String {
        let mut out = String::from("model,checkpoint,nmse_median\n");
        for model in &self.models {
            for site in model.outcome.iter().flat_map(|m| &m.sites) {
                let name = crate::csv::field(&model.entry.name);
                let _ = writeln!(out, "{name},{},{:e}", site.site, site.nmse.median.0);
            }
        }
        out
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Area, style: &Style, layout: Layout) {
        let roles = style.roles();
        let note = if self.left_out > 0 {
            format!("{} more models not shown", self.left_out)
        } else {
            String::new()
        };
        let inside = style.pane(canvas, area.inset(UNIT, UNIT), TITLE, &note);
        let names = short_names(&self.models);
        let (head, body) = inside.split_top(layout.head);
        for (i, name) in names.iter().enumerate() {
            let column = layout.column(body, i);
            let lines = name.len() as i32;
            for (k, line) in name.iter().enumerate() {
                let y = head.bottom() - (lines - k as i32) * style.small.line() - UNIT / 2;
                let shown = fit(line, style.small.columns_in(column.w));
                canvas.text_center(column.x + column.w / 2, y, &shown, style.label(roles.text));
            }
        }
        for (row, site) in self.sites.iter().enumerate() {
            let y = body.y + row as i32 * layout.row;
            let ink = style.label(roles.text);
            let text_y = y + (layout.row - style.small.line()) / 2;
            canvas.text(body.x, text_y, site.name(), ink);
            for (i, model) in self.models.iter().enumerate() {
                let column = layout.column(body, i);
                let cell = Area::new(column.x, y, column.w - 1, layout.row - 1);
                let measured = model.outcome.as_ref().ok();
                let Some(found) = measured.and_then(|m| m.sites.iter().find(|s| s.site == site.name()))
                else {
                    canvas.fill(cell, roles.ground);
                    continue;
                };
                let nmse = found.nmse.median.0;
                let color = if nmse.is_finite() { palette::magnitude(share(nmse)) } else { roles.nonfinite };
                canvas.fill(cell, color);
                let ink = style.label(palette::ink_on(color));
                canvas.text_center(column.x + column.w / 2, text_y, &brief(nmse), ink);
            }
        }
    }
}

/// Where things lie.
#[derive(Clone, Copy)]
struct Layout {
    label: i32,
    column: i32,
    head: i32,
    row: i32,
    extra: i32,
}

impl Layout {
    fn of(data: &Nmse<'_>, style: &Style) -> Self {
        let label = data.sites.iter().map(|s| style.small.width(s.name())).max().unwrap_or(0) + 2 * UNIT;
        let lines = short_names(&data.models).iter().map(Vec::len).max().unwrap_or(1).max(1) as i32;
        Self {
            label,
            column: style.small.width("1e-10  ").max(style.small.width("llama3-q8  ")),
            head: lines * style.small.line() + UNIT,
            row: style.small.line() + 4,
            extra: style.pane_extra() + 2 * UNIT,
        }
    }

    fn size(self, data: &Nmse<'_>) -> (u32, u32) {
        let title = 50 * UNIT;
        let width = (self.label + self.column * data.models.len() as i32).max(title) + 4 * UNIT;
        let height = self.head + self.row * data.sites.len() as i32 + self.extra;
        (width as u32, height.max(64) as u32)
    }

    fn column(self, body: Area, i: usize) -> Area {
        Area::new(body.x + self.label + i as i32 * self.column, body.y, self.column, body.h)
    }
}

fn site(name: &str) -> Option<Site> {
    let at: Option<Checkpoint> = name.parse().or_else(|_| format!("{name}-0").parse()).ok();
    at.map(Checkpoint::site)
}

/// Where a figure lies on the scale, 0 to 1.
fn share(nmse: f64) -> f32 {
    (((nmse.log10() - SCALE[0]) / (SCALE[1] - SCALE[0])) as f32).clamp(0.0, 1.0)
}

/// A figure of one digit.
fn brief(nmse: f64) -> String {
    if nmse == 0.0 || !nmse.is_finite() { figure(nmse) } else { format!("{nmse:.0e}") }
}

/// Names without what all begin with, in pieces that go below each other.
fn short_names(models: &[&Surveyed]) -> Vec<Vec<String>> {
    let names: Vec<&str> = models.iter().map(|m| m.entry.name.as_str()).collect();
    let first = names.first().copied().unwrap_or_default();
    let common = first
        .match_indices('-')
        .map(|(i, _)| i + 1)
        .take_while(|&i| names.len() > 1 && names.iter().all(|n| n.starts_with(&first[..i])))
        .last()
        .unwrap_or(0);
    names.iter().map(|n| n[common..].splitn(3, '-').map(str::to_owned).collect()).collect()
}
