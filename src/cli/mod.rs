//! The command line: one file per command, one line here that registers it.

mod analyze;
mod assets;
mod audit;
mod bench;
mod compare;
mod demo;
mod diagnose;
mod doctor;
mod engines;
mod gpu;
mod inspect;
mod mutate;
mod picture;
mod plot;
mod quantize;
mod saved;
mod score;
mod screen;
mod serve;
mod stepping;
mod stop;
mod survey;
mod synth;
mod tokenize;
mod trace;
mod typed;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::compare::Verdict;

/// What a command found; becomes the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or within noise: 0.
    Ok,
    /// Divergence or garbage: 1.
    Diverged,
    /// Not everything could be read or run, and it was said what: 2.
    Failed,
    /// Not enough in common to conclude anything: 3.
    Inconclusive,
}

impl From<&Verdict> for Outcome {
    fn from(verdict: &Verdict) -> Self {
        match verdict.exit_code() {
            0 => Self::Ok,
            1 => Self::Diverged,
            _ => Self::Inconclusive,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Ok => 0,
            Outcome::Diverged => 1,
            Outcome::Failed => 2,
            Outcome::Inconclusive => 3,
        })
    }
}

/// Find where an LLM inference engine stops agreeing with a reference, live.
#[derive(Debug, Parser)]
#[command(
    name = "paritty",
    version,
    about,
    after_help = "Exit codes: 0 within noise, 1 divergence or garbage, 2 bad input or usage, 3 inconclusive."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Analyze(analyze::AnalyzeArgs),
    Audit(audit::AuditArgs),
    Bench(bench::BenchArgs),
    Compare(compare::CompareArgs),
    Demo(demo::DemoArgs),
    Diagnose(Box<diagnose::DiagnoseArgs>),
    Doctor(doctor::DoctorArgs),
    Inspect(Box<inspect::InspectArgs>),
    Mutate(mutate::MutateArgs),
    Plot(plot::PlotArgs),
    Quantize(quantize::QuantizeArgs),
    Serve(serve::ServeArgs),
    Survey(Box<survey::SurveyArgs>),
    Score(score::ScoreArgs),
    Synth(synth::SynthArgs),
    Tokenize(tokenize::TokenizeArgs),
    Trace(Box<trace::TraceArgs>),
}

impl Cli {
    /// Runs the command. An error is bad input or usage (exit code 2).
    pub fn run(self) -> anyhow::Result<Outcome> {
        match self.command {
            Command::Analyze(args) => args.run(),
            Command::Audit(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Compare(args) => args.run(),
            Command::Demo(args) => args.run(),
            Command::Diagnose(args) => args.run(),
            Command::Doctor(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Mutate(args) => args.run(),
            Command::Plot(args) => args.run(),
            Command::Quantize(args) => args.run(),
            Command::Serve(args) => args.run(),
            Command::Survey(args) => args.run(),
            Command::Score(args) => args.run(),
            Command::Synth(args) => args.run(),
            Command::Tokenize(args) => args.run(),
            Command::Trace(args) => args.run(),
        }
    }
}

/// How far reading or writing bytes has come, on standard error.
fn bytes_bar(bytes: u64) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let style =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {binary_bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(bytes);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
