//! `paritty diagnose`: which operation, what kind of mistake, and whose.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use super::engines::EngineArgs;
use super::stop::Stop;
use crate::audit::Options;
use crate::compare::Verdict;
use crate::diagnose::{self, Diagnosed, Isolation, Observed, Side, Whose, document, graft};
use crate::document as formats;
use crate::fault::Injections;
use crate::gguf::Gguf;
use crate::model::CaptureSet;
use crate::session::record::{self, Feed, Making};
use crate::session::{Source, Tokens};
use crate::trace::{Header, Store, Token};

/// Say which operation is faulty, what kind of mistake it is, and whose.
///
/// SRC is a trace file, or an engine that is recorded first: `cpu` (ours, f32), `cuda` or `cuda:N` (on a
/// GPU), `oracle` (in f64), `llama.cpp` (the real one, if it was built in) or `cmd:PROGRAM ARGUMENTS`.
/// Each run is audited by itself (see `paritty audit`), so that the one at fault is known and not only
/// that two runs differ. Two runs are also compared with each other. Engines are run once more without
/// taps, to see whether looking changes what they compute; where the candidate is one of ours and parts
/// from the reference, it is run again with the reference's values put in, which tells faults from what
/// follows from them. Of an engine that fails on its way, what it computed before is diagnosed.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no fault, 1 fault or garbage, 2 bad input or usage, 3 inconclusive.")]
pub struct DiagnoseArgs {
    /// Model file (GGUF) that the runs are made with
    model: PathBuf,
    /// The run that is trusted
    #[arg(long, value_name = "SRC")]
    reference: Source,
    /// The run under test
    #[arg(long, value_name = "SRC")]
    candidate: Option<Source>,
    #[command(flatten)]
    engines: EngineArgs,
    /// Run engines once only: no run without taps, none with the reference's values put in
    #[arg(long)]
    once: bool,
    /// How the report is written
    #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(formats::format_names()))]
    format: String,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl DiagnoseArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let id = if self.json { "json" } else { &self.format };
        let Some(format) = formats::format(id) else { bail!("no format is called `{id}`") };
        let stop = Stop::on_signals()?;
        let folder = tempfile::Builder::new()
            .prefix("paritty-")
            .tempdir()
            .context("cannot make a temporary folder for traces")?;
        let found = Diagnosis {
            args: &self,
            gguf: Arc::new(Gguf::open(&self.model)?),
            folder: folder.path(),
            stop: &stop,
        }
        .make();
        // What was recorded goes, whether a signal ended it or not.
        drop(folder);
        stop.die_of_signal();
        let found = found?;
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        format.write(&document(&found), &mut out)?;
        out.flush()?;
        let garbage = matches!(found.verdict().as_deref(), Some(Verdict::Instrument { .. }));
        Ok(match found.whose() {
            Whose::One(_) | Whose::Both => Outcome::Diverged,
            _ if garbage || found.is_disturbed() || found.is_unsteady() || found.has_other_weights() => {
                Outcome::Diverged
            }
            Whose::Nobodys if found.is_cut_short() => Outcome::Inconclusive,
            Whose::Nobodys => Outcome::Ok,
            Whose::Unknown => Outcome::Inconclusive,
        })
    }
}

/// A diagnosis in the making.
struct Diagnosis<'a> {
    args: &'a DiagnoseArgs,
    gguf: Arc<Gguf>,
    /// Takes what is recorded.
    folder: &'a Path,
    stop: &'a Stop,
}

/// One side, recorded.
struct Recorded<'a> {
    role: &'static str,
    source: &'a Source,
    store: Store,
    feed: Feed,
    context: Option<usize>,
    /// Why it ended before all was computed.
    ended: Option<String>,
}

impl Diagnosis<'_> {
    fn make(&self) -> anyhow::Result<Diagnosed> {
        let args = self.args;
        let mut sources = vec![("reference", &args.reference)];
        sources.extend(args.candidate.as_ref().map(|c| ("candidate", c)));
        let runs = self.record(&sources)?;
        let options = Options { stop: Some(self.stop.flag()), ..Options::default() };
        let mut found = Diagnosed {
            comparison: match &runs[..] {
                [a, b] => Some(diagnose::compare(&a.store, &b.store)),
                _ => None,
            },
            ..Diagnosed::default()
        };
        for run in &runs {
            self.stop.check()?;
            let bar = bar("{msg}");
            let mut progress = |what: &str, done: usize, of: usize| {
                bar.set_message(what.to_owned());
                tell(&bar, done, of);
            };
            let (gguf, store, folder) = (&self.gguf, &run.store, self.folder);
            let side = Side::audit(run.role, gguf, store, run.context, &options, folder, &mut progress);
            bar.finish_and_clear();
            let mut side = side?;
            side.ended.clone_from(&run.ended);
            if record::trace_of(run.source).is_none() {
                // What was recorded for this is gone afterwards.
                side.trace = run.source.to_string();
            }
            found.sides.push(side);
        }
        if args.once {
            return Ok(found);
        }
        for run in &runs {
            self.stop.check()?;
            match self.observe(run) {
                Ok(seen) => found.observed.extend(seen),
                Err(error) => {
                    self.stop.check()?;
                    found.left_out.push(format!("the {} once more without taps: {error:#}", run.role));
                }
            }
        }
        if let [reference, candidate] = &runs[..] {
            found.isolation = self.isolate(reference, candidate, &mut found)?;
        }
        Ok(found)
    }

    /// Loads or makes every run. Traces come first: they say which tokens engines are fed.
    fn record<'s>(&self, sources: &[(&'static str, &'s Source)]) -> anyhow::Result<Vec<Recorded<'s>>> {
        let args = &self.args.engines;
        let faults = Injections::new(args.fault.clone());
        let candidate_is_ours =
            sources.iter().any(|(role, source)| *role == "candidate" && record::own_kind(source).is_some());
        ensure!(
            faults.is_empty() || candidate_is_ours,
            "--fault needs an engine of ours as --candidate: cpu, cuda or oracle"
        );
        let mut feed = match args.tokens() {
            Tokens::Ids(prompt) => Some(Feed { prompt, generate: args.n() }),
            Tokens::Prompt(text) => {
                Some(Feed { prompt: record::encode(&self.gguf, &text)?, generate: args.n() })
            }
            Tokens::FromTrace => None,
        };
        let mut runs: BTreeMap<&str, Recorded<'s>> = BTreeMap::new();
        let mut context = args.ctx;
        for &(role, source) in sources {
            let Some(path) = record::trace_of(source) else { continue };
            let store = Store::load(path)?;
            let tokens = Feed::of(&store);
            context = context.or(Header::peek(path).and_then(|h| h.settings.n_ctx).map(|n| n as usize));
            feed = tokens.clone().or(feed);
            let feed = tokens.unwrap_or_default();
            runs.insert(role, Recorded { role, source, store, feed, context, ended: None });
        }
        for &(role, source) in sources {
            if record::trace_of(source).is_some() {
                continue;
            }
            let Some(tokens) = &feed else {
                bail!(
                    "nobody says what `{source}` is to compute: give --prompt or --tokens, or a trace that \
                     records its tokens as the other side"
                );
            };
            let mut own = tokens.clone();
            let is_candidate = role == "candidate";
            let faults = if is_candidate { faults.clone() } else { Injections::default() };
            faults.change_tokens(&mut own.prompt);
            let path = self.folder.join(format!("{role}.jsonl"));
            let done = self.run(&self.making(context, faults, args.capture()), source, &own, &path, role);
            let (store, ended) = self.as_far_as_it_came(source, &path, done)?;
            // Whoever is run next computes what was generated here.
            let fed = Feed::of(&store).unwrap_or(own);
            if !is_candidate {
                feed = Some(fed.clone());
            }
            runs.insert(role, Recorded { role, source, store, feed: fed, context, ended });
        }
        // The reference first.
        Ok(runs.into_values().rev().collect())
    }

    /// What was recorded; of a foreign engine that failed on its way, up to there, with what it failed for.
    fn as_far_as_it_came(
        &self,
        source: &Source,
        path: &Path,
        done: anyhow::Result<()>,
    ) -> anyhow::Result<(Store, Option<String>)> {
        let Err(error) = done else { return Ok((Store::load(path)?, None)) };
        if self.stop.came() || record::own_kind(source).is_some() || !path.exists() {
            return Err(error);
        }
        match Store::load(path) {
            Ok(store) if store.positions().any(|p| store.is_complete(p)) => {
                Ok((store, Some(format!("{error:#}"))))
            }
            _ => Err(error),
        }
    }

    fn making(&self, context: Option<usize>, faults: Injections, capture: CaptureSet) -> Making<'_> {
        let args = &self.args.engines;
        Making { gguf: &self.gguf, context, capture, cpu: args.cpu(), patience: args.patience(), faults }
    }

    fn run(
        &self,
        making: &Making<'_>,
        source: &Source,
        feed: &Feed,
        path: &Path,
        what: &str,
    ) -> anyhow::Result<()> {
        let bar = bar(&format!("running the {what}"));
        let done = making.record(source, feed, path, &mut |done, of| {
            tell(&bar, done, of);
            !self.stop.came()
        });
        bar.finish_and_clear();
        done.with_context(|| format!("the {what}, {source}"))
    }

    /// Runs an engine once more, without taps; and where that shows something else, once more with them.
    fn observe(&self, run: &Recorded<'_>) -> anyhow::Result<Option<Observed>> {
        if record::trace_of(run.source).is_some() || run.ended.is_some() {
            return Ok(None);
        }
        let once_more = |name: &str, capture, what: &str| {
            let path = self.folder.join(format!("{}-{name}.jsonl", run.role));
            let making = self.making(run.context, self.faults(run), capture);
            self.run(&making, run.source, &run.feed, &path, &format!("{} {what}", run.role))?;
            anyhow::Ok(Store::load(&path)?)
        };
        let untapped = once_more("untapped", CaptureSet::Off, "without taps")?;
        let seen = diagnose::observer::observe(run.role, &run.store, &untapped);
        Ok(match seen {
            Some(seen) if !seen.is_same() => {
                let again = once_more("again", self.args.engines.capture(), "once more")?;
                Some(seen.with_again(&run.store, &again))
            }
            seen => seen,
        })
    }

    fn faults(&self, run: &Recorded<'_>) -> Injections {
        if run.role == "candidate" {
            Injections::new(self.args.engines.fault.clone())
        } else {
            Injections::default()
        }
    }

    /// Runs the candidate with the reference's values where it parts, if it is ours and parts.
    fn isolate(
        &self,
        reference: &Recorded<'_>,
        candidate: &Recorded<'_>,
        found: &mut Diagnosed,
    ) -> anyhow::Result<Option<Isolation>> {
        let parts = matches!(found.verdict().as_deref(), Some(Verdict::Diverged { .. }));
        let (Some(comparison), true) = (&found.comparison, parts && !found.has_other_weights()) else {
            return Ok(None);
        };
        let Some(kind) = record::own_kind(candidate.source) else {
            if let Some(why) = no_grafts(candidate.source) {
                found.left_out.push(format!("the candidate with the reference's values put in: {why}"));
            }
            return Ok(None);
        };
        let capture = self.args.engines.capture();
        let making = self.making(candidate.context, self.faults(candidate), capture);
        let mut engine = making.engine(kind, candidate.feed.positions())?;
        let tokens: Vec<Token> =
            candidate.store.positions().filter_map(|p| candidate.store.token(p).cloned()).collect();
        let bar = bar("putting in the reference's values");
        let path = self.folder.join("grafted.jsonl");
        let isolation = graft::isolate(&reference.store, comparison, &mut |grafts| {
            bar.set_message(format!("{} places", grafts.len()));
            let writer = making.writer(&*engine, candidate.feed.positions(), &path)?;
            graft::run(&mut *engine, writer, &tokens, &reference.store, grafts)?;
            anyhow::Ok(Store::load(&path)?)
        });
        bar.finish_and_clear();
        Ok(Some(isolation?))
    }
}

/// Why an engine cannot be run with somebody else's values; `None` for a trace, which is not run at all.
fn no_grafts(source: &Source) -> Option<&'static str> {
    match source {
        Source::Program(_) => Some("a program (cmd:) cannot be given values, its protocol has none for them"),
        Source::LlamaCpp => Some("llama.cpp cannot be given values"),
        _ => None,
    }
}

fn bar(what: &str) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let style = ProgressStyle::with_template(&format!("{what}  {{bar:30}} {{pos}}/{{len}}  {{eta}} {{msg}}"))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn tell(bar: &ProgressBar, done: usize, of: usize) {
    bar.set_length(of as u64);
    bar.set_position(done as u64);
}
