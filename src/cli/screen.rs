//! What `inspect` and `demo` share: the session on a screen, or without one.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::Outcome;
use super::stepping::SteppingArgs;
use super::typed::Typed;
use crate::session::headless::{self, Limits};
use crate::session::{Config, Session, Snapshot, SourceState, Stop, facts};
use crate::tui::graphics::Choice;
use crate::tui::settings::Settings;
use crate::tui::{self, Ended, SavedScreen, TuiOptions};

/// How a session is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without a screen")]
pub struct ScreenArgs {
    /// Run without a terminal and print what was found
    #[arg(long)]
    headless: bool,
    /// Print what the screen would show as lines, as it happens, and take commands by name from stdin: for
    /// screen readers and logs
    #[arg(long, conflicts_with = "headless")]
    plain: bool,
    /// Stop after N positions
    #[arg(long, value_name = "N", requires = "headless")]
    steps: Option<u32>,
    /// Write a picture of the screen: PNG or SVG, by the name's ending
    #[arg(long, value_name = "FILE", requires = "headless")]
    screenshot: Option<PathBuf>,
    /// Print JSON
    #[arg(long, requires = "headless")]
    json: bool,
    /// Give up when nothing has changed for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "headless")]
    timeout: u64,
    #[command(flatten)]
    stepping: SteppingArgs,
}

impl ScreenArgs {
    /// Whether there is to be no screen.
    pub fn headless(&self) -> bool {
        self.headless
    }

    /// Positions a second at most.
    pub fn speed(&self) -> Option<f32> {
        self.stepping.speed()
    }

    /// Starts the session and shows it.
    pub fn show(&self, config: &Config, keep: Keep) -> anyhow::Result<Outcome> {
        if self.stepping.has_until() && !config.running {
            bail!("--paused waits for a key, --until does not: give one of them");
        }
        if !self.headless {
            return self.live(config, keep);
        }
        for source in [&config.reference, &config.candidate] {
            if let crate::session::Source::Trace(path) = source
                && !path.exists()
            {
                bail!("{}: no such file", path.display());
            }
        }
        let session = self.start(config, &[])?;
        let limits = Limits { steps: self.steps, patience: Duration::from_secs(self.timeout) };
        let last = headless::run_by(&session, self.stepping.run(), limits, |_| {})?;
        if let Some(path) = &self.screenshot {
            let focused = match headless::point_of_interest(&last) {
                Some((position, checkpoint)) => headless::focus(&session, position, checkpoint)?,
                None => last.clone(),
            };
            super::picture::screen(&focused, path)?;
        }
        print(&last, self.json)?;
        outcome(&last)
    }

    /// Starts a session that was told how to step before it computes anything.
    fn start(&self, config: &Config, breakpoints: &[Stop]) -> anyhow::Result<Session> {
        let session = Session::start(&Config { running: false, ..config.clone() })?;
        let commands = session.link().commands;
        for command in self.stepping.before(breakpoints) {
            commands.blocking_send(command).context("the session ended at once")?;
        }
        Ok(session)
    }

    /// On the screen, or in plain lines.
    fn live(&self, config: &Config, keep: Keep) -> anyhow::Result<Outcome> {
        let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
        if !(self.plain || terminal) {
            bail!(
                "this command needs a terminal; use --headless in scripts and pipes, --plain for lines of text"
            );
        }
        let settings = Settings::load()?;
        let wanted = Choice::of_environment(|name| std::env::var(name).ok())?;
        let session = self.start(config, &keep.breakpoints)?;
        if config.running {
            session
                .link()
                .commands
                .blocking_send(self.stepping.run())
                .context("the session ended at once")?;
        }
        let typed = Typed::of_user();
        let options = TuiOptions {
            exporter: Some(Arc::new(|request| super::picture::export(&request))),
            theme: settings.theme,
            keymap: settings.keymap,
            graphics: wanted.unwrap_or(settings.graphics),
            screen: keep.screen,
            typed: typed.load(),
        };
        let left = if self.plain {
            tui::plain::run(session.link(), options)?
        } else {
            tui::run(session.link(), options)?
        };
        let last = session.link().snapshots.borrow().clone();
        drop(session);
        if let Err(problem) = typed.keep(&left.typed) {
            // No reason to end otherwise than the session did.
            let _ = writeln!(io::stderr(), "note: {problem:#}");
        }
        if let Some(keeper) = keep.keeper {
            keeper(&left.screen, &self.stepping.own(&last.stepping.breakpoints))?;
        }
        if let Ended::Signal(signal) = left.ended {
            // The terminal is restored; whoever sent the signal sees that it was heeded.
            signal_hook::low_level::emulate_default_handler(signal)
                .with_context(|| format!("signal {signal}"))?;
        }
        outcome(&last)
    }
}

/// Takes what outlives the screen: where the user was, and the breakpoints.
pub type Keeper = Box<dyn FnOnce(&SavedScreen, &[Stop]) -> anyhow::Result<()>>;

/// What a session takes over from an earlier one, and who keeps what outlives it.
#[derive(Default)]
pub struct Keep {
    /// Conditions at which runs pause.
    pub breakpoints: Vec<Stop>,
    /// Where the user was.
    pub screen: Option<SavedScreen>,
    /// Told when the screen is left.
    pub keeper: Option<Keeper>,
}

fn print(snapshot: &Snapshot, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{:#}", facts::json(snapshot))?;
    } else {
        for line in tui::plain::lines(snapshot) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// A source that broke is an error of its own; otherwise the verdict decides.
fn outcome(snapshot: &Snapshot) -> anyhow::Result<Outcome> {
    for (name, side) in [("reference", &snapshot.reference), ("candidate", &snapshot.candidate)] {
        if let SourceState::Failed(why) = &side.state {
            bail!("the {name} failed: {why}");
        }
    }
    Ok((&*snapshot.verdict).into())
}
