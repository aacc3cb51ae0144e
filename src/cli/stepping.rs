//! How a session is stepped, where `inspect` and `demo` start one.

use clap::Args;

use crate::session::{Command, Feed, Stop};

/// Stepping.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stepping")]
pub struct SteppingArgs {
    /// Run until this is met: `position N`, `divergence`, `severity N` (times the noise), `nonfinite`,
    /// `garbage` or `garbage CLASS`, `argmax` (the most likely tokens differ) or `token REGEX`; without
    /// a screen, end there
    #[arg(long, value_name = "COND")]
    until: Option<Stop>,
    /// Pause any run where this is met; may be given several times
    #[arg(long = "break", value_name = "COND")]
    breakpoints: Vec<Stop>,
    /// Compute this many positions a second at most, and follow traces no faster
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f32>,
    /// Let each side continue the prompt with its own tokens, instead of the reference's for both
    #[arg(long)]
    free: bool,
}

impl SteppingArgs {
    /// What to tell a session before it runs.
    /// `kept` are breakpoints of an earlier session.
    pub fn before(&self, kept: &[Stop]) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut breakpoints = kept.to_vec();
        breakpoints.extend(self.breakpoints.iter().filter(|stop| !kept.contains(stop)).cloned());
        if !breakpoints.is_empty() {
            commands.push(Command::Breakpoints(breakpoints));
        }
        if self.speed.is_some() {
            commands.push(Command::Speed(self.speed));
        }
        if self.free {
            commands.push(Command::Feed(Feed::Free));
        }
        commands
    }

    /// Of a session's breakpoints those that did not come from the command line.
    pub fn own(&self, breakpoints: &[Stop]) -> Vec<Stop> {
        breakpoints.iter().filter(|stop| !self.breakpoints.contains(stop)).cloned().collect()
    }

    /// What makes it run.
    pub fn run(&self) -> Command {
        self.until.clone().map_or(Command::Run, Command::RunUntil)
    }

    /// Positions a second at most.
    pub fn speed(&self) -> Option<f32> {
        self.speed
    }

    /// Whether it is to pause somewhere.
    pub fn has_until(&self) -> bool {
        self.until.is_some()
    }
}

fn speed(text: &str) -> Result<f32, String> {
    let speed = text.parse().ok().filter(|speed: &f32| *speed > 0.0 && speed.is_finite());
    speed.ok_or_else(|| "expected a number of positions a second, above 0".to_owned())
}
