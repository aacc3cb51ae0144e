//! `paritty survey`: many models at once, through a reference, an engine of ours and the oracle.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::stop::Stop;
use super::trace::NO_LLAMA_CPP;
use super::{Outcome, assets};
use crate::document::{FORMATS, format_names};
use crate::engine::open::Kind;
use crate::survey::document::Report;
use crate::survey::floors::{self, Floors};
use crate::survey::plan::{self, Reference, Settings};
use crate::survey::spread::CHANGES;
use crate::survey::surveyed::Surveyed;
use crate::survey::{Progress, SurveyError, measure};

/// Run a list of models through a reference, our engine and the oracle, and report how far they are apart.
///
/// For every model: how far our engine is from the reference at each kind of checkpoint, how far each of
/// both is from exact arithmetic (the oracle, f64), whether they choose the same tokens, and how much
/// garbage either of them holds, beside the rate that the original study published for such a model.
///
/// Traces, results and reports are kept in a folder. A survey that is started again there measures
/// only what is not finished or has changed: model, recorded trace, settings or version.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all within noise, 1 one diverges or holds garbage, 2 one could not be surveyed or bad usage, \
    3 one is inconclusive; of several, the first in this order: 1, 2, 3."
)]
pub struct SurveyArgs {
    /// Model files (GGUF) [default: those of the demo]
    models: Vec<PathBuf>,
    /// Reference runs: `llama.cpp`, the real one (feature `llama-cpp`); `recorded`, the trace `NAME.jsonl`
    /// beside the model NAME.gguf or in the folder `traces` beside the model's; or a folder of such traces
    /// [default: llama.cpp if it is built in, else recorded]
    #[arg(long, value_name = "recorded|llama.cpp|DIR", value_parser = reference)]
    reference: Option<Reference>,
    /// Engine of ours that is surveyed
    #[arg(long, value_name = "ENGINE", default_value = "cpu", value_parser = engine)]
    candidate: Kind,
    /// Folder for traces, results and reports; made if need be
    #[arg(short, long, value_name = "DIR", default_value = "paritty-survey")]
    out: PathBuf,
    /// Positions at most [default: all of a recorded trace, 32 of llama.cpp]
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    n: Option<u32>,
    /// Text that llama.cpp begins with; it chooses the tokens after it
    #[arg(long, value_name = "TEXT", default_value = "ROMEO:\nWhat light through")]
    prompt: String,
    /// End the prompt with a word that only this survey knows, so that no engine can answer from memory
    #[arg(long)]
    nonce: bool,
    /// Threads that compute [default: one of llama.cpp, one per core of ours]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Measure llama.cpp against itself, too, with one setting changed at a time: flash-attention, threads,
    /// batch, kv-f32, kv-q8_0, no-repack [default, without a list: all of them]
    #[arg(long, value_name = "CHANGE,…", num_args = 0..=1, require_equals = true, value_delimiter = ',',
        default_missing_value = "all", value_parser = change)]
    spread: Option<Vec<String>>,
    /// Write the table of noise floors that these runs show, as in `src/compare/noise.tsv`
    #[arg(long, value_name = "FILE", requires = "spread")]
    noise_table: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

/// How the report is printed.
#[derive(Debug, Args)]
struct FormatArgs {
    /// How the report is printed; the folder holds it in every format
    #[arg(long, default_value = FORMATS[0].id(), value_parser = PossibleValuesParser::new(format_names()))]
    format: String,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print one table with a line a model, nothing else
    #[arg(long)]
    compact: bool,
}

fn reference(text: &str) -> Result<Reference, String> {
    match text {
        "recorded" => Ok(Reference::Recorded(None)),
        "llama.cpp" if cfg!(feature = "llama-cpp") => Ok(Reference::LlamaCpp),
        "llama.cpp" => Err(NO_LLAMA_CPP.to_owned()),
        folder if Path::new(folder).is_dir() => Ok(Reference::Recorded(Some(folder.into()))),
        _ => Err("neither `recorded` nor `llama.cpp` nor a folder that exists".to_owned()),
    }
}

fn change(text: &str) -> Result<String, String> {
    if text == "all" || CHANGES.iter().any(|c| c.id == text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = CHANGES.iter().map(|c| c.id).collect();
    Err(format!("expected some of {}", known.join(", ")))
}

fn engine(text: &str) -> Result<Kind, String> {
    Kind::named(text).ok_or_else(|| {
        let known: Vec<String> = Kind::ALL.iter().map(ToString::to_string).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// File of the survey's folder that holds the word of `--nonce`.
const NONCE: &str = "nonce";

impl SurveyArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let reference = self.reference.clone().unwrap_or(if cfg!(feature = "llama-cpp") {
            Reference::LlamaCpp
        } else {
            Reference::Recorded(None)
        });
        ensure!(
            self.spread.is_none() || cfg!(feature = "llama-cpp"),
            "--spread measures llama.cpp: {NO_LLAMA_CPP}"
        );
        let models = if self.models.is_empty() {
            assets::demos()?.into_iter().map(|d| d.model).collect()
        } else {
            self.models.clone()
        };
        fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let settings = Settings {
            candidate: self.candidate.to_string(),
            positions: self.n,
            prompt: self.prompt(&reference)?,
            threads: self.threads,
            spread: self.changes(),
        };
        let stop = Stop::on_signals()?;
        let entries = plan::entries(models);
        let mut bar = Bar { stop: &stop, shown: progress_bar(), prefix: String::new() };
        let mut surveyed = Vec::with_capacity(entries.len());
        for (i, entry) in entries.iter().enumerate() {
            bar.prefix = format!("{}/{} {}", i + 1, entries.len(), entry.name);
            let outcome = match measure::model(entry, &reference, &settings, &self.out, &mut bar) {
                Ok(done) => Ok(done.measured),
                Err(SurveyError::Interrupted) => {
                    bar.shown.finish_and_clear();
                    return self.interrupted(&stop, i, entries.len());
                }
                Err(error) => Err(error.to_string()),
            };
            surveyed.push(Surveyed { entry: entry.clone(), outcome });
        }
        bar.shown.finish_and_clear();
        if let Some(path) = &self.noise_table {
            let table = self.noise_table(&surveyed, &bar)?;
            fs::write(path, table).with_context(|| path.display().to_string())?;
        }
        let report = Report { settings: &settings, models: &surveyed };
        report.save(&self.out)?;
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        let format = if self.format.json { "json" } else { &self.format.format };
        if self.format.compact {
            report.write_compact(format, &mut out)?;
        } else {
            report.write(format, &self.out, &mut out)?;
        }
        out.flush()?;
        Ok(outcome(&surveyed))
    }

    /// The prompt, ended by the word that this folder's survey has, if one is wanted.
    fn prompt(&self, reference: &Reference) -> anyhow::Result<String> {
        if !self.nonce {
            return Ok(self.prompt.clone());
        }
        ensure!(
            *reference == Reference::LlamaCpp,
            "--nonce needs a run that begins now; a recorded one has its prompt already: use --reference llama.cpp"
        );
        let path = self.out.join(NONCE);
        let word = match fs::read_to_string(&path) {
            Ok(word) => word,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let word = plan::nonce();
                fs::write(&path, &word).with_context(|| path.display().to_string())?;
                word
            }
            Err(error) => bail!("{}: {error}", path.display()),
        };
        Ok(format!("{} {}", self.prompt, word.trim()))
    }

    /// The changes to measure, each once and in one order, so that the same ones are the same settings.
    fn changes(&self) -> Vec<String> {
        let wanted = self.spread.as_deref().unwrap_or_default();
        let is_wanted = |id: &str| wanted.iter().any(|w| w == id || w == "all");
        CHANGES.iter().map(|c| c.id).filter(|id| is_wanted(id)).map(str::to_owned).collect()
    }

    fn interrupted(&self, stop: &Stop, done: usize, of: usize) -> anyhow::Result<Outcome> {
        // Nothing is left to do when stderr is closed.
        let _ = writeln!(
            io::stderr(),
            "{done} of {of} models are surveyed and kept in {}; the same command goes on there",
            self.out.display()
        );
        stop.die_of_signal();
        bail!("interrupted")
    }

    fn noise_table(&self, surveyed: &[Surveyed], progress: &dyn Progress) -> anyhow::Result<String> {
        let mut floors = Floors::default();
        for model in surveyed {
            let Ok(measured) = &model.outcome else {
                bail!("{}: no table of noise can be made while a model fails", model.entry.name)
            };
            for pair in floors::pairs(measured, &self.out.join(&model.entry.name)) {
                floors.add(&pair, progress)?;
            }
        }
        let models: Vec<_> =
            surveyed.iter().filter_map(|m| Some((m.entry.name.as_str(), m.outcome.as_ref().ok()?))).collect();
        Ok(floors.table(&floors::head(&models)))
    }
}

/// The exit code of a survey: the worst that any model has.
fn outcome(surveyed: &[Surveyed]) -> Outcome {
    let any = |code: u8| surveyed.iter().any(|m| m.exit_code() == code);
    if any(1) {
        Outcome::Diverged
    } else if any(2) {
        Outcome::Failed
    } else if any(3) {
        Outcome::Inconclusive
    } else {
        Outcome::Ok
    }
}

/// Shows how far the survey is.
struct Bar<'a> {
    stop: &'a Stop,
    shown: ProgressBar,
    prefix: String,
}

impl Progress for Bar<'_> {
    fn begin(&mut self, what: &str, total: u64) {
        self.shown.set_length(total);
        self.shown.set_position(0);
        self.shown.set_message(format!("{}: {what}", self.prefix));
    }

    fn done(&mut self, positions: u64) {
        self.shown.set_position(positions);
    }

    fn stopped(&self) -> bool {
        self.stop.came()
    }
}

fn progress_bar() -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(0);
    bar.enable_steady_tick(Duration::from_millis(200));
    match ProgressStyle::with_template("{bar:20} {pos:>3}/{len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
