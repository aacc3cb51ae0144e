//! A session as lines that are printed as things happen, driven by the commands of the command line.

use std::collections::HashMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::lines::{position, standing};
use super::{diagnosis, views};
use crate::compare::{Column, Verdict};
use crate::model::Checkpoint;
use crate::session::{Command, DiagnosisState, Link, RunState, Snapshot, SourceState};
use crate::text::safe;
use crate::tui::app::{Action, App, Effect};
use crate::tui::views::View;
use crate::tui::{Ended, Keymap, Left, TuiError, TuiOptions, command};

/// How long an answer is waited for before a session that is over is left without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints a session's facts until it is over, or `quit` is typed. Commands (those of the command line) are read from stdin, one a
/// line; an empty line computes one more position.
pub fn run(link: Link, options: TuiOptions) -> Result<Left, TuiError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(TuiError::Terminal)?;
    let ended = runtime.block_on(Plain::new(link, options).run());
    runtime.shutdown_background();
    ended
}

struct Plain {
    app: App,
    keymap: Keymap,
    link: Link,
    said: Vec<String>,
    /// Columns as they were when they were printed.
    columns: HashMap<u32, Arc<Column>>,
    /// What was said of the open view, and of which place.
    facts: Vec<String>,
    place: Option<(View, u32, Checkpoint, u32)>,
    /// Until when the view's facts, or a diagnosis to begin, are waited for.
    due: Option<Instant>,
    diagnosis: Option<Instant>,
    /// Whether `wait` was typed: nothing is obeyed until nothing is computed any more.
    waiting: bool,
    message: Option<String>,
}

impl Plain {
    fn new(mut link: Link, options: TuiOptions) -> Self {
        let mut app = App::new(Arc::clone(&link.snapshots.borrow_and_update()));
        if let Some(problem) = options.screen.and_then(|screen| app.take_up(&screen).err()) {
            app.tell(problem.to_string(), true);
        }
        app.set_commands(command::table(&options.keymap));
        Self {
            app,
            keymap: options.keymap,
            link,
            said: Vec::new(),
            columns: HashMap::new(),
            facts: Vec::new(),
            place: None,
            due: None,
            diagnosis: None,
            waiting: false,
            message: None,
        }
    }

    async fn run(mut self) -> Result<Left, TuiError> {
        let mut typed = typed();
        let mut listening = true;
        println(&format!("model: {}", self.app.snapshot().model))?;
        println(
            "commands: an empty line computes one position; run, pause, wait, next-divergence, goto 5, view layer, diagnose, help, quit …",
        )?;
        loop {
            self.print()?;
            let over = self.is_over() || (self.is_stopped() && !listening);
            self.waiting &= !(over || self.is_stopped());
            if over && !(listening && io::stdin().is_terminal()) {
                match typed.try_recv() {
                    Ok(line) if self.obey(line.trim())? => return Ok(self.left()),
                    Ok(_) => continue,
                    Err(_) => return Ok(self.left()),
                }
            }
            let patience = self.due.into_iter().chain(self.diagnosis).min();
            tokio::select! {
                biased;
                line = typed.recv(), if listening && !self.waiting && self.due.is_none() => match line {
                    Some(line) => if self.obey(line.trim())? { return Ok(self.left()) },
                    None => listening = false,
                },
                changed = self.link.snapshots.changed() => {
                    if changed.is_err() {
                        println("the session has ended")?;
                        return Ok(self.left());
                    }
                    let snapshot = Arc::clone(&self.link.snapshots.borrow_and_update());
                    if !matches!(snapshot.diagnosis, DiagnosisState::NotAsked | DiagnosisState::Cancelled) {
                        self.diagnosis = None;
                    }
                    self.app.set_snapshot(snapshot);
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    (self.due, self.diagnosis) = (None, None);
                }
            }
        }
    }

    /// Says what is new.
    fn print(&mut self) -> Result<(), TuiError> {
        let snapshot = Arc::clone(self.app.snapshot());
        for column in snapshot.columns.iter().filter(|column| column.complete) {
            let known = self.columns.get(&column.position);
            if known.is_some_and(|known| Arc::ptr_eq(known, column)) {
                continue;
            }
            let before = known.map(|known| position(&snapshot, known));
            let now = position(&snapshot, column);
            if before.as_ref() != Some(&now) {
                now.iter().try_for_each(|line| println(line))?;
            }
            self.columns.insert(column.position, Arc::clone(column));
        }
        // Counters alone are no news; they come with the positions. Where the runs part is.
        let parted = matches!(&*snapshot.verdict, Verdict::Diverged { .. });
        let mut lines = standing(&snapshot);
        lines.extend(diagnosis::lines(&snapshot.diagnosis));
        let gist = |line: &String| {
            let exact = line.starts_with("faulty: ") || parted && line.starts_with("verdict");
            if exact { line.clone() } else { without_digits(line) }
        };
        let gists: Vec<String> = lines.iter().map(gist).collect();
        for (line, gist) in lines.iter().zip(&gists) {
            if !self.said.contains(gist) {
                println(line)?;
            }
        }
        self.said = gists;
        if let Some(command) = self.app.wanted_focus()
            && self.link.commands.try_send(command).is_ok()
        {
            self.app.asked_for_focus();
        }
        self.print_facts()?;
        let message = self.app.message().map(|message| message.text.clone());
        if message != self.message {
            message.iter().try_for_each(|message| println(&format!("message: {message}")))?;
            self.message = message;
        }
        Ok(())
    }

    /// Says what the open view shows, where that is another place now or other values.
    fn print_facts(&mut self) -> Result<(), TuiError> {
        let Some(facts) = views::facts(&self.app) else { return Ok(()) };
        let place = Some(views::place(&self.app));
        let moved = self.place.is_some() && self.place != place;
        let news = facts != self.facts && !views::flows(self.app.view());
        if self.due.take().is_some() || ((moved || news) && !self.app.following()) {
            facts.iter().try_for_each(|line| println(line))?;
        }
        (self.facts, self.place) = (facts, place);
        Ok(())
    }

    fn left(&self) -> Left {
        Left { ended: Ended::Quit, screen: self.app.saved(), typed: Vec::new() }
    }

    /// Does what was typed. Says whether that was to leave.
    fn obey(&mut self, line: &str) -> Result<bool, TuiError> {
        let action = match line {
            "" => Ok(Action::Step),
            "help" | "?" => {
                println("wait: obey what follows when nothing is computed any more")?;
                for entry in command::table(&self.keymap).iter() {
                    println(&format!("{} {}: {}", entry.name, entry.form, entry.help))?;
                }
                return Ok(false);
            }
            "wait" => {
                self.waiting = true;
                return Ok(false);
            }
            line => self.app.command(line),
        };
        match action {
            Ok(action) => {
                if matches!(action, Action::Look(_)) {
                    self.due = Some(Instant::now() + PATIENCE);
                }
                self.app.update(action);
            }
            Err(problem) => self.app.tell(problem, true),
        }
        for effect in self.app.take_effects() {
            if matches!(effect, Effect::Send(Command::Diagnose)) {
                self.diagnosis = Some(Instant::now() + PATIENCE);
            }
            match effect {
                // A full queue: the session is busy with what was typed before.
                Effect::Send(command) if self.link.commands.try_send(command.clone()).is_err() => {
                    self.app.tell("the session is busy: that was not sent", true);
                }
                Effect::Send(_) | Effect::Redraw | Effect::Suspend => {}
                Effect::Export(_) => self.app.tell("pictures are made with `paritty plot`", true),
                Effect::Graphics(_) => self.app.tell("graphics are for the screen", true),
                Effect::Quit => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Whether something is still to be said that was asked for.
    fn is_asked(&self) -> bool {
        self.due.is_some()
            || self.diagnosis.is_some()
            || matches!(self.app.snapshot().diagnosis, DiagnosisState::Running { .. })
    }

    /// Whether the run has come to what it was to stop at.
    fn is_stopped(&self) -> bool {
        let snapshot = self.app.snapshot();
        snapshot.run == RunState::Paused && snapshot.stepping.stopped.is_some() && !self.is_asked()
    }

    fn is_over(&self) -> bool {
        let snapshot: &Snapshot = self.app.snapshot();
        let over = |state: &SourceState| matches!(state, SourceState::Ended | SourceState::Failed(_));
        let sources = over(&snapshot.reference.state) && over(&snapshot.candidate.state);
        snapshot.revision > 0 && !self.is_asked() && (snapshot.run == RunState::Finished || sources)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // The session learns it at the latest when the channel closes.
        let _ = self.link.commands.try_send(Command::Quit);
    }
}

fn without_digits(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// One line to stdout at once, without control characters.
fn println(line: &str) -> Result<(), TuiError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", safe(line)).and_then(|()| out.flush()).map_err(TuiError::Terminal)
}

/// Lines as they are typed; the channel closes at the end of stdin.
fn typed() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    // Ends with the process: a blocked read cannot be called off.
    let _ = std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
