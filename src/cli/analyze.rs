//! `paritty analyze`: is what was recorded what an engine computed? Statistics and exports on the way.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use super::compare::compared;
use super::stop::Stop;
use crate::analyze::{self, Analysis, Analyzer, Judgement, Options};
use crate::document;
use crate::export::{Layout, Npz, Parquet, Take};
use crate::garbage::CLASSES;

/// Look for garbage in traces: values that no correct engine computes, and who is to blame for them.
///
/// Every record is looked at once, by itself and beside the other records of its checkpoint. Several traces
/// make one report with a line each. A trace's length does not matter: what is held does not grow with it.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no garbage, 1 garbage, 2 bad input or usage, 3 inconclusive (most values were not recorded)."
)]
pub struct AnalyzeArgs {
    /// Traces; `-`: standard input
    #[arg(value_name = "TRACE", required_unless_present = "explain")]
    traces: Vec<PathBuf>,
    /// Count, range, percentiles, mean and rms by checkpoint, and how steady the largest channel is
    #[arg(long)]
    stats: bool,
    /// Write the values to a NumPy archive: one array a checkpoint, a row a position (NaN where nothing
    /// was recorded), and `positions` and `tokens` beside them
    #[arg(long, value_name = "OUT.npz")]
    npz: Option<PathBuf>,
    /// Write the values to a Parquet table, a line a value: position, checkpoint, site, layer, channel, value
    #[arg(long, value_name = "OUT.parquet")]
    parquet: Option<PathBuf>,
    /// Compare with this trace as well, which is taken for the candidate
    #[arg(long, value_name = "TRACE2")]
    compare: Option<PathBuf>,
    /// Say what a class of garbage means and what to do about it; `list` names them
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["traces", "stats", "npz", "parquet", "compare"])]
    explain: Option<String>,
    /// How the report is written
    #[arg(long, default_value = document::FORMATS[0].id(), value_parser = PossibleValuesParser::new(document::format_names()))]
    format: String,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl AnalyzeArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let id = if self.json { "json" } else { &self.format };
        let Some(format) = document::format(id) else { bail!("no format is called `{id}`") };
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        if let Some(class) = &self.explain {
            let Some(page) = analyze::explanation(class) else {
                let known: Vec<&str> = CLASSES.iter().map(|c| c.id()).collect();
                bail!("no class of garbage is called `{class}`; there are {}", known.join(", "));
            };
            format.write(&page, &mut out)?;
            out.flush()?;
            return Ok(Outcome::Ok);
        }
        self.check()?;
        let stop = Stop::on_signals()?;
        let result = self.traces.iter().map(|path| self.one(path, &stop)).collect::<anyhow::Result<Vec<_>>>();
        // Unfinished exports are gone by now; whoever sent the signal sees that it was heeded.
        stop.die_of_signal();
        let analyses = result?;
        let full = matches!(id, "json" | "csv");
        let mut page = analyze::document(&analyses, full);
        let mut outcome = analyses.iter().map(|a| outcome(a.judgement())).fold(Outcome::Ok, worse);
        if let (Some(other), [path]) = (&self.compare, &*self.traces) {
            let (compared, verdict) = compared(path, other)?;
            page.heading("Compared");
            page.paragraph(crate::wording::Tone::Plain, compared.title);
            page.blocks.extend(compared.blocks);
            outcome = worse(outcome, verdict);
        }
        format.write(&page, &mut out)?;
        out.flush()?;
        Ok(outcome)
    }

    fn check(&self) -> anyhow::Result<()> {
        let exports = self.npz.is_some() || self.parquet.is_some();
        let several = self.traces.len() > 1;
        ensure!(!(several && exports), "--npz and --parquet take one trace; run once for each");
        ensure!(!(several && self.compare.is_some()), "--compare takes one trace beside the other");
        let from_stdin = self.traces.iter().any(|t| t == Path::new("-"));
        ensure!(
            !(from_stdin && (self.npz.is_some() || self.compare.is_some())),
            "--npz and --compare read the trace twice, which standard input does not allow; write it to a file first"
        );
        for out in self.npz.iter().chain(&self.parquet) {
            let same = |t: &PathBuf| t.canonicalize().is_ok_and(|t| out.canonicalize().is_ok_and(|o| t == o));
            ensure!(
                !self.traces.iter().any(same),
                "{} is the trace itself; name another file",
                out.display()
            );
        }
        Ok(())
    }

    fn one(&self, path: &Path, stop: &Stop) -> anyhow::Result<Analysis> {
        let mut take: Vec<Box<dyn Take>> = Vec::new();
        if let Some(out) = &self.npz {
            let layout = {
                let mut bar = Bar::new("sizing", stop);
                Layout::of(path, &mut |done, all| bar.go_on(done, all))?
            };
            stop.check()?;
            take.push(Box::new(Npz::create(out, layout)?));
        }
        if let Some(out) = &self.parquet {
            take.push(Box::new(Parquet::create(out)?));
        }
        let options = Options { stats: self.stats };
        let analysis = {
            let mut bar = Bar::new("analysing", stop);
            Analyzer::new(options).run(path, &mut take, &mut |done, all| bar.go_on(done, all))?
        };
        for take in take {
            take.finish()?;
        }
        stop.check()?;
        Ok(analysis)
    }
}

/// A bar on standard error for what takes longer than a second; ends the work on a signal.
struct Bar<'a> {
    job: &'static str,
    stop: &'a Stop,
    started: Instant,
    shown: Option<ProgressBar>,
}

impl<'a> Bar<'a> {
    fn new(job: &'static str, stop: &'a Stop) -> Self {
        Self { job, stop, started: Instant::now(), shown: None }
    }

    fn go_on(&mut self, done: u64, all: u64) -> bool {
        if self.started.elapsed() > Duration::from_secs(1) {
            let job = self.job;
            let bar = self.shown.get_or_insert_with(|| {
                let style =
                    ProgressStyle::with_template("{prefix}  {bar:40} {bytes}/{total_bytes} of text  {eta}");
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::new(all).with_style(style).with_prefix(job)
            });
            bar.set_position(done);
        }
        self.stop.check().is_ok()
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn outcome(judgement: Judgement) -> Outcome {
    match judgement {
        Judgement::Sound => Outcome::Ok,
        Judgement::Instrument | Judgement::Engine => Outcome::Diverged,
        Judgement::Partial => Outcome::Inconclusive,
    }
}

/// Garbage counts before what is not known.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    let rank = |o| match o {
        Outcome::Ok => 0,
        Outcome::Inconclusive => 1,
        Outcome::Diverged => 2,
        Outcome::Failed => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}
