//! `paritty inspect`: two runs side by side, live.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::Outcome;
use super::engines::EngineArgs;
use super::saved::{ModelBreakpoints, SavedSession, VERSION};
use super::screen::{Keep, ScreenArgs};
use crate::engine::open::Kind;
use crate::fault::Injections;
use crate::session::{Config, Pace, Source, Stop};
use crate::tui::SavedScreen;

/// Watch two runs side by side while they grow, and see where they part.
///
/// SRC is a trace file (followed while it grows), `cpu` (our engine, f32), `cuda` or `cuda:N` (on a
/// GPU), `oracle` (in f64), `llama.cpp` (the real one, if it was built in) or
/// `cmd:PROGRAM ARGUMENTS`, any engine that speaks paritty's protocol.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Model file (GGUF)
    #[arg(required_unless_present = "resume")]
    model: Option<PathBuf>,
    /// The run that is trusted
    #[arg(long, value_name = "SRC", required_unless_present = "resume")]
    reference: Option<Source>,
    /// The run under test [default: cpu]
    #[arg(long, value_name = "SRC")]
    candidate: Option<Source>,
    #[command(flatten)]
    engines: EngineArgs,
    /// Do not start computing before a key says so
    #[arg(long)]
    paused: bool,
    /// Write the session to FILE when it is left: what it was started with, cursor, breakpoints, marks
    #[arg(long, value_name = "FILE", conflicts_with = "headless")]
    save: Option<PathBuf>,
    /// Take up the session in FILE, and write it there again unless --save names another; what else is given
    /// here goes before what the file says
    #[arg(long, value_name = "FILE", conflicts_with = "headless")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    screen: ScreenArgs,
}

impl InspectArgs {
    /// Runs the command.
    pub fn run(mut self) -> anyhow::Result<Outcome> {
        let resumed = self.resume.as_deref().map(SavedSession::read).transpose()?;
        if let Some(saved) = &resumed {
            self.take_up(saved)?;
        }
        let config = Config {
            model: self.model.context("no model: name a GGUF file")?,
            reference: self.reference.context("no reference: give --reference SRC")?,
            candidate: self.candidate.unwrap_or_else(|| Kind::best().into()),
            tokens: self.engines.tokens(),
            generate: self.engines.n(),
            context: self.engines.ctx,
            patience: self.engines.patience(),
            cpu: self.engines.cpu(),
            capture: self.engines.capture(),
            faults: Injections::new(self.engines.fault.clone()),
            // A speed holds for traces, too: they are followed no faster.
            replay: self.screen.speed().map(|speed| Pace { speed: Some(speed), ..Pace::default() }),
            running: !self.paused,
        };
        let of_model = ModelBreakpoints::of(&config.model);
        let mut breakpoints = of_model.load()?;
        for text in resumed.iter().flat_map(|saved| &saved.breakpoints) {
            let stop: Stop = text.parse().context("the saved session's breakpoints")?;
            if !breakpoints.contains(&stop) {
                breakpoints.push(stop);
            }
        }
        let target = self.save.or(self.resume);
        let (engines, started) = (self.engines, config.clone());
        let keeper = move |screen: &SavedScreen, stops: &[Stop]| {
            of_model.keep(stops)?;
            let Some(target) = target else { return Ok(()) };
            SavedSession {
                paritty_session: VERSION,
                model: whole(&started.model),
                reference: named(&started.reference),
                candidate: named(&started.candidate),
                run: engines.saved(),
                breakpoints: stops.iter().map(ToString::to_string).collect(),
                screen: screen.clone(),
            }
            .write(&target)
        };
        let screen = resumed.map(|saved| saved.screen);
        self.screen.show(&config, Keep { breakpoints, screen, keeper: Some(Box::new(keeper)) })
    }

    /// Takes from a saved session what was not said.
    fn take_up(&mut self, saved: &SavedSession) -> anyhow::Result<()> {
        let source = |text: &String| text.parse::<Source>().context("the saved session's sources");
        self.model.get_or_insert_with(|| saved.model.clone());
        if self.reference.is_none() {
            self.reference = Some(source(&saved.reference)?);
        }
        if self.candidate.is_none() {
            self.candidate = Some(source(&saved.candidate)?);
        }
        self.engines.resume(&saved.run)
    }
}

/// A path that is found from any folder.
fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn named(source: &Source) -> String {
    match source {
        Source::Trace(path) => whole(path).display().to_string(),
        other => other.to_string(),
    }
}
