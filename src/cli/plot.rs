//! `paritty plot`: any view as a picture, without a terminal.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};

use super::{Outcome, compare};
use crate::compare::Comparison;
use crate::model::Checkpoint;
use crate::palette::Ground;
use crate::plot::{self, Cursor, Format, RunGarbage, Scene, VIEWS, View};
use crate::session::headless::point_of_interest;
use crate::session::{Needs, Snapshot, Still, Wanted};
use crate::trace::Store;

/// What the view of several traces is called.
const GARBAGE: &str = "garbage";
/// What it shows.
const GARBAGE_DESCRIPTION: &str = "share of positions with garbage, of any number of traces";
/// Names that an error lists.
const LISTED: usize = 12;

/// Draw any view of one or two traces as PNG or SVG, or write the data behind it as CSV.
///
/// `paritty plot list` names the views. The cell that matters most is shown (where the runs part,
/// else the worst) unless --position, --layer or --checkpoint name another. The same pictures come
/// from the screen's export keys and stand in `paritty compare --format html`.
#[derive(Debug, Args)]
#[command(
    override_usage = "paritty plot <VIEW> <REF> [CAND] -o <OUT.png|svg|csv> [OPTIONS]\n       paritty plot --all <DIR> <REF> [CAND] [OPTIONS]\n       paritty plot garbage <TRACE>... -o <OUT.png|svg|csv>\n       paritty plot list"
)]
pub struct PlotArgs {
    /// View (`paritty plot list` names them), then the reference's trace, then the candidate's;
    /// `garbage` takes any number of traces
    #[arg(value_name = "VIEW TRACE", required = true)]
    words: Vec<PathBuf>,
    /// Picture to write; its ending decides what it becomes. `-`: SVG on standard output
    #[arg(short, long, value_name = "OUT.png|svg|csv")]
    output: Option<PathBuf>,
    /// Write every view into this folder, as PNG, SVG and CSV
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    all: Option<PathBuf>,
    /// Position to show
    #[arg(long, value_name = "P")]
    position: Option<u32>,
    /// Checkpoint to show: `Kcur_rope-7`, or `Kcur_rope` together with --layer
    #[arg(long, value_name = "C")]
    checkpoint: Option<String>,
    /// Layer to show
    #[arg(long, value_name = "L")]
    layer: Option<usize>,
    /// Size in pixels
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Ground of the picture
    #[arg(long, value_enum, default_value_t = Theme::Light)]
    theme: Theme,
    /// Rates published elsewhere for the same models, in per cent, one a trace (`-`: none); drawn
    /// beside those found here (`garbage` only)
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', allow_hyphen_values = true)]
    published: Vec<Percent>,
}

/// Dark on light or light on dark.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Theme {
    /// Dark on light
    Light,
    /// Light on dark
    Dark,
}

impl From<Theme> for Ground {
    fn from(theme: Theme) -> Self {
        match theme {
            Theme::Light => Self::Light,
            Theme::Dark => Self::Dark,
        }
    }
}

/// `1200x800`.
#[derive(Clone, Copy, Debug)]
struct Size(u32, u32);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size: write WIDTHxHEIGHT in pixels, like 1200x800");
        let (width, height) = text.split_once(['x', '×']).ok_or_else(wrong)?;
        let number = |n: &str| n.parse::<u32>().map_err(|_| wrong());
        Ok(Self(number(width)?, number(height)?))
    }
}

/// A rate in per cent, or none.
#[derive(Clone, Copy, Debug)]
struct Percent(Option<f64>);

impl std::str::FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('%').trim_end();
        if text == "-" {
            return Ok(Self(None));
        }
        let rate = text.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
        rate.map(|p| Self(Some(p / 100.0))).ok_or_else(|| format!("`{text}` is no rate of 0 to 100 per cent"))
    }
}

impl PlotArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        if let Some(folder) = &self.all {
            let runs = Runs::load(&self.words)?;
            self.everything(&runs, folder)?;
            return Ok(Outcome::Ok);
        }
        let Some((name, traces)) = self.words.split_first() else { bail!("give a view and a trace") };
        let name = name.to_string_lossy();
        if name == "list" {
            list()?;
            return Ok(Outcome::Ok);
        }
        let view = View::from_id(&name);
        if view.is_none() && name != GARBAGE {
            let known: Vec<&str> = VIEWS.iter().map(|v| v.id).chain([GARBAGE]).collect();
            bail!("no view is called `{name}`; there are: {}", known.join(", "));
        }
        let Some(output) = &self.output else {
            bail!("say where the picture goes: -o {name}.png, .svg or .csv")
        };
        let format = if output == Path::new("-") { Format::Svg } else { Format::of(output)? };
        let bytes = match view {
            Some(view) => {
                let runs = Runs::load(traces)?;
                self.picture(&runs.still(), view, format)?
            }
            None => self.garbage(traces, format)?,
        };
        if output == Path::new("-") {
            io::stdout().lock().write_all(&bytes)?;
        } else {
            write(output, &bytes)?;
        }
        Ok(Outcome::Ok)
    }

    fn ground(&self) -> Ground {
        self.theme.into()
    }

    fn size(&self) -> Option<(u32, u32)> {
        self.size.map(|s| (s.0, s.1))
    }

    fn picture(&self, still: &Still<'_>, view: View, format: Format) -> anyhow::Result<Vec<u8>> {
        let info = view.info();
        ensure!(
            still.is_pair() || !info.pair,
            "the view `{}` compares two runs: give the candidate's trace as well",
            info.id
        );
        let mut snapshot = still.snapshot();
        let cursor = self.cursor(&snapshot, view)?;
        let needs =
            Needs { layers: view == View::Channels, scores: view == View::Attention, ..Needs::default() };
        let focus = still.look(Wanted { needs, ..Wanted::cell(cursor.position, cursor.checkpoint) });
        let is_absent = focus.reference.is_none() && focus.candidate.is_none();
        if info.values && is_absent && (self.checkpoint.is_some() || self.layer.is_some()) {
            bail!("neither trace has values of {} at position {}", cursor.checkpoint, cursor.position);
        }
        snapshot.focus = Some(Arc::new(focus));
        let scene = Scene { snapshot: &snapshot, cursor };
        Ok(plot::encode(view, &scene, format, self.size(), self.ground())?)
    }

    /// The cell to show: the one asked for, else the one that matters most.
    fn cursor(&self, snapshot: &Snapshot, view: View) -> anyhow::Result<Cursor> {
        let (mut position, mut checkpoint) = point_of_interest(snapshot)
            .or_else(|| snapshot.tokens.last().map(|t| (t.position, Checkpoint::LOGITS)))
            .unwrap_or((0, Checkpoint::LOGITS));
        let known = |c: Checkpoint| snapshot.rows.contains(&c);
        if view == View::Scatter || !known(checkpoint) {
            checkpoint = if known(Checkpoint::LOGITS) {
                Checkpoint::LOGITS
            } else {
                snapshot.rows.last().copied().unwrap_or(Checkpoint::LOGITS)
            };
        }
        if view == View::Attention && checkpoint.layer_index().is_none() {
            let first = snapshot.rows.iter().find(|c| c.layer_index().is_some());
            checkpoint = first.copied().unwrap_or(checkpoint);
        }
        if let Some(asked) = self.position {
            let there: Vec<u32> = snapshot.tokens.iter().map(|t| t.position).collect();
            ensure!(
                there.contains(&asked),
                "there is no position {asked}: the traces hold {} to {}",
                there.first().copied().unwrap_or(0),
                there.last().copied().unwrap_or(0)
            );
            position = asked;
        }
        match (&self.checkpoint, self.layer) {
            (None, None) => {}
            (None, Some(layer)) => {
                let last = snapshot.rows.iter().rev().find(|c| c.layer_index() == Some(layer));
                checkpoint = *last.with_context(|| {
                    let layers = snapshot.rows.iter().filter_map(|c| c.layer_index());
                    let most = layers.max().map_or_else(|| "none".to_owned(), |l| format!("0 to {l}"));
                    format!("there is no layer {layer} in the traces: they hold {most}")
                })?;
            }
            (Some(name), layer) => {
                let full = layer.map_or_else(|| name.clone(), |layer| format!("{name}-{layer}"));
                checkpoint = full.parse()?;
                ensure!(known(checkpoint), "the traces hold no {checkpoint}, but {}", names(&snapshot.rows));
            }
        }
        Ok(Cursor { position, checkpoint })
    }

    fn everything(&self, runs: &Runs, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let still = runs.still();
        let formats = [(Format::Png, "png"), (Format::Svg, "svg"), (Format::Csv, "csv")];
        for info in VIEWS.iter().filter(|v| still.is_pair() || !v.pair) {
            for (format, ending) in formats {
                let bytes = self.picture(&still, info.view, format)?;
                write(&folder.join(format!("{}.{ending}", info.id)), &bytes)?;
            }
        }
        for (format, ending) in formats {
            write(&folder.join(format!("{GARBAGE}.{ending}")), &self.garbage(&self.words, format)?)?;
        }
        Ok(())
    }

    fn garbage(&self, traces: &[PathBuf], format: Format) -> anyhow::Result<Vec<u8>> {
        ensure!(!traces.is_empty(), "give the traces whose garbage is to be shown");
        ensure!(
            self.published.is_empty() || self.published.len() == traces.len(),
            "--published has {} rates for {} traces: give one for each, `-` where there is none",
            self.published.len(),
            traces.len()
        );
        let mut runs = Vec::new();
        for (i, path) in traces.iter().enumerate() {
            let store = Store::load(path)?;
            let comparison = compare::compare(&store, &Still::nothing());
            let published = self.published.get(i).and_then(|p| p.0);
            runs.push(RunGarbage::of(&store, &comparison, published));
        }
        Ok(plot::bars(&plot::garbage_bars(&runs), format, self.size(), self.ground())?)
    }
}

/// The traces of a picture with what was found in them.
struct Runs {
    reference: Store,
    candidate: Option<Store>,
    comparison: Comparison,
}

impl Runs {
    fn load(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let (reference, candidate) = match paths {
            [reference] => (reference, None),
            [reference, candidate] => (reference, Some(candidate)),
            [] => bail!("give the reference's trace, and the candidate's"),
            _ => bail!("give two traces at most: the reference's and the candidate's"),
        };
        let reference = Store::load(reference)?;
        let candidate = candidate.map(|path| Store::load(path)).transpose()?;
        let comparison = match &candidate {
            Some(candidate) => compare::compare(&reference, candidate),
            None => compare::compare(&reference, &Still::nothing()),
        };
        Ok(Self { reference, candidate, comparison })
    }

    fn still(&self) -> Still<'_> {
        Still::new(&self.reference, self.candidate.as_ref(), &self.comparison)
    }
}

fn names(rows: &[Checkpoint]) -> String {
    let shown: Vec<String> = rows.iter().take(LISTED).map(Checkpoint::to_string).collect();
    let more = if rows.len() > LISTED { format!(" and {} more", rows.len() - LISTED) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn list() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for view in VIEWS {
        let enough = if view.pair { "" } else { "; one trace is enough" };
        writeln!(out, "{:12}{}{enough}", view.id, view.description)?;
    }
    writeln!(out, "{GARBAGE:12}{GARBAGE_DESCRIPTION}")?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    plot::write(path, bytes)?;
    writeln!(io::stdout().lock(), "{}", crate::text::safe(&path.display().to_string()))?;
    Ok(())
}
