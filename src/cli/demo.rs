//! `paritty demo`: the whole program on a model and a recorded llama.cpp trace of its own.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::screen::{Keep, ScreenArgs};
use super::{Outcome, assets};
use crate::fault::{FAULTS, Injection, Injections};
use crate::session::{Config, Pace, Source};

/// The model that the demo shows if none is named: quantised as most downloads are.
const DEFAULT_MODEL: &str = "shakespeare-q4_k_m";
/// Pause between replayed positions: about the speed of a small model on two cores.
const REPLAY_PAUSE: Duration = Duration::from_millis(120);

/// Show the whole program on a small real model: no GPU, no download.
///
/// A recorded trace of the real llama.cpp is replayed into a growing file, our engine is stepped
/// beside it, and the screen shows where the two part.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Model to show; `list` names them
    #[arg(long, value_name = "NAME", default_value = DEFAULT_MODEL)]
    model: String,
    /// Mistake to make in our engine: ID or ID@LAYER; may be given several times; `list` names them
    #[arg(long, value_name = "ID")]
    fault: Vec<String>,
    /// Say where the mistake was seen and what it looks like, instead of making it
    #[arg(long, requires = "fault")]
    explain: bool,
    #[command(flatten)]
    screen: ScreenArgs,
}

impl DemoArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        if self.fault.iter().any(|f| f == "list") {
            return list_faults();
        }
        let demos = assets::demos()?;
        if self.model == "list" {
            return list(demos.into_iter().map(|d| (d.name, d.model.display().to_string())));
        }
        let faults = self.fault.iter().map(|f| f.parse()).collect::<Result<Vec<Injection>, _>>()?;
        if self.explain {
            return explain(&faults);
        }
        let faults = Injections::new(faults);
        let demo = demos.iter().find(|d| d.name == self.model).with_context(|| {
            let known: Vec<&str> = demos.iter().map(|d| d.name.as_str()).collect();
            format!("no demo is called `{}`; there are: {}", self.model, known.join(", "))
        })?;
        let pace = if self.screen.headless() { Duration::ZERO } else { REPLAY_PAUSE };
        let config = Config {
            faults,
            replay: Some(Pace { per_position: pace, speed: self.screen.speed() }),
            ..Config::new(demo.model.clone(), Source::Trace(demo.trace.clone()), Source::Cpu)
        };
        self.screen.show(&config, Keep::default())
    }
}

/// Number of the kind of mistake, id, title.
fn list_faults() -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    for fault in FAULTS {
        writeln!(out, "{:>2}  {:<20} {}", fault.catalogue(), fault.id(), fault.title())?;
    }
    Ok(Outcome::Ok)
}

fn explain(faults: &[Injection]) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    for (i, fault) in faults.iter().map(Injection::fault).enumerate() {
        let gap = if i > 0 { "\n" } else { "" };
        writeln!(out, "{gap}{}: {}\n\n{}", fault.id(), fault.title(), fault.explain())?;
    }
    Ok(Outcome::Ok)
}

/// Two columns, for people; the first alone is what arguments take.
fn list(rows: impl Iterator<Item = (String, String)>) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    for (name, what) in rows {
        writeln!(out, "{name:<20} {what}")?;
    }
    Ok(Outcome::Ok)
}
