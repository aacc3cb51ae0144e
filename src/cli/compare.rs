//! `paritty compare`: two traces, headless.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::compare::tolerance::Tolerances;
use crate::compare::{Comparison, Verdict};
use crate::document;
use crate::document::Document;
use crate::report::{self, FORMATS, Report};
use crate::trace::Store;
use crate::wording;

/// Compare two traces: where, if anywhere, does the candidate part from the reference?
///
/// Says first whether both are the same computation and whether the recorded values can be trusted,
/// then whether they agree within the noise of correct engines, and if not, which operation is the
/// first whose output is wrong while its inputs are right.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 within noise, 1 divergence or garbage, 2 bad input or usage, 3 inconclusive."
)]
pub struct CompareArgs {
    /// Trace of the engine that is trusted
    #[arg(value_name = "REF")]
    reference: PathBuf,
    /// Trace of the engine under test
    #[arg(value_name = "CAND")]
    candidate: PathBuf,
    /// How the report is written
    #[arg(long, default_value = FORMATS[0].id(), value_parser = PossibleValuesParser::new(FORMATS.iter().map(|f| f.id())))]
    format: String,
    /// Write the report's pictures as SVG into this folder and link to them; needs `--format markdown`
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Limits of your own, instead of the noise floor where they match (a TOML file, see the README)
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Show which limit was applied to which checkpoint and where it comes from
    #[arg(long)]
    explain: bool,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Positions compared between two looks at the progress bar, at first.
const STEP: usize = 8;

impl CompareArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        if self.pictures.is_some() && (self.json || self.format != "markdown") {
            bail!("--pictures goes with --format markdown; the html format has its pictures inside");
        }
        if is_same_file(&self.reference, &self.candidate) {
            bail!(
                "{} and {} are the same file: a run always agrees with itself; give the trace of another engine",
                self.reference.display(),
                self.candidate.display()
            );
        }
        let rules = self.rules.as_deref().map(read_rules).transpose()?;
        let reference = Store::load(&self.reference)?;
        let candidate = Store::load(&self.candidate)?;
        let comparison = compare(&reference, &candidate);
        let judged = (rules.is_some() || self.explain)
            .then(|| rules.as_ref().unwrap_or(&Tolerances::default()).judge(&comparison));
        let id = if self.json { "json" } else { &self.format };
        let Some(format) = report::format(id) else { bail!("no format is called `{id}`") };
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        let verdict = comparison.verdict();
        if id == "study-csv" && !matches!(*verdict, Verdict::WithinNoise { .. } | Verdict::Diverged { .. }) {
            // The table has no room for what has to be known before any of its figures is read.
            let mut err = anstream::stderr().lock();
            for sentence in wording::verdict(&verdict) {
                writeln!(err, "{}", sentence.text)?;
            }
        }
        let limits = judged.as_deref();
        let report = Report { limits, ..Report::new(&reference, &candidate, &comparison) };
        match &self.pictures {
            Some(folder) => {
                document::with_pictures(&report::compare::illustrated(&report), folder, &mut out)?;
            }
            None => format.write(&report, &mut out)?,
        }
        out.flush()?;
        Ok(match (&*verdict, judged) {
            (Verdict::WithinNoise { .. } | Verdict::Diverged { .. }, Some(judged)) if rules.is_some() => {
                if judged.iter().all(|j| j.passes) {
                    Outcome::Ok
                } else if judged.iter().any(|j| !j.passes && j.worst.is_some()) {
                    Outcome::Diverged
                } else {
                    Outcome::Inconclusive
                }
            }
            (verdict, _) => Outcome::from(verdict),
        })
    }
}

fn read_rules(path: &Path) -> anyhow::Result<Tolerances> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Tolerances::parse(&text).map_err(|problem| anyhow!("{}: {problem}", path.display()))
}

/// Two traces compared, as a page of a larger report.
pub(super) fn compared(reference: &Path, candidate: &Path) -> anyhow::Result<(Document, Outcome)> {
    let (reference, candidate) = (Store::load(reference)?, Store::load(candidate)?);
    let comparison = compare(&reference, &candidate);
    let outcome = Outcome::from(&*comparison.verdict());
    let report = Report::new(&reference, &candidate, &comparison);
    Ok((report::compare::document(&report), outcome))
}

/// Compares everything that is in both traces, with a progress bar when it takes long.
pub(super) fn compare(reference: &Store, candidate: &Store) -> Comparison {
    let positions: BTreeSet<u32> = reference.positions().chain(candidate.positions()).collect();
    let positions: Vec<u32> = positions.into_iter().collect();
    let bar = ProgressBar::new(positions.len() as u64).with_style(
        ProgressStyle::with_template("comparing  {bar:40} {pos}/{len} positions  {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut comparison = Comparison::new();
    let started = std::time::Instant::now();
    let mut rest = &*positions;
    while !rest.is_empty() {
        // Every update looks at what there is so far; steps that grow with it keep that from adding up
        // to the square of a long trace.
        let step = STEP.max(comparison.columns().len() / 4).min(rest.len());
        let (chunk, after) = rest.split_at(step);
        rest = after;
        comparison.update(reference, candidate, chunk);
        if started.elapsed() > Duration::from_secs(1) {
            bar.set_position(comparison.columns().len() as u64);
        }
    }
    comparison.conclude(reference, candidate);
    bar.finish_and_clear();
    comparison
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
