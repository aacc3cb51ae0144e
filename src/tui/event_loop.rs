//! Input, snapshots and frames: one thread, one `select!`, input first. Nothing runs while nothing
//! changes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEvent};
use futures_util::StreamExt;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};

use super::app::{Action, App, Effect, Place, Typed};
use super::graphics::ask::{self, Asked};
use super::graphics::late::{Heard, Late};
use super::graphics::{Choice, Found};
use super::keymap::Keymap;
use super::panes::Context;
use super::terminal::Screen;
use super::theme::{Depth, Theme};
use super::{Ended, ExportWhat, Exporter, Left, TuiError, TuiOptions, ansi, command, shot, view};
use crate::session::{Command, Link};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// How long a frame waits for the values that it asks for: an idle session has them in one millisecond, and one
/// frame then does for two, of which the first would show the old values dimmed.
const ANSWER: Duration = Duration::from_millis(8);
/// How soon a full command channel is tried again.
const RETRY: Duration = Duration::from_millis(25);
/// Commands that wait for a busy session; more are refused.
const WAITING: usize = 64;

type Exported = Result<Vec<std::path::PathBuf>, String>;

/// Whether the loop goes on.
enum Flow {
    GoOn,
    End(Ended),
}

pub(super) struct EventLoop {
    app: App,
    theme: Theme,
    keymap: Keymap,
    screen: Screen,
    /// How heatmaps are to be shown.
    wanted: Choice,
    /// What the terminal said of its graphics.
    asked: Asked,
    graphics: Found,
    /// Keys that were pressed while it was asked.
    early: Vec<KeyEvent>,
    /// Keeps answers that come late from being taken for keys.
    late: Option<Late>,
    link: Link,
    exporter: Option<Exporter>,
    exports: (Sender<Exported>, Receiver<Exported>),
    waiting: VecDeque<Command>,
    signals: Signals,
    dirty: bool,
    session_gone: bool,
}

impl EventLoop {
    pub(super) fn new(mut link: Link, options: TuiOptions) -> Result<Self, TuiError> {
        let snapshot = Arc::clone(&link.snapshots.borrow_and_update());
        let theme = options.theme.unwrap_or_else(Theme::detect);
        // Before the terminal is taken, so that no signal finds it taken and nobody listening.
        let signals = Signals::new().map_err(TuiError::Terminal)?;
        let mut app = App::new(snapshot);
        app.set_commands(command::table(&options.keymap));
        app.set_hints(true);
        app.set_typed_before(options.typed);
        if let Some(problem) = options.screen.and_then(|screen| app.take_up(&screen).err()) {
            app.tell(problem.to_string(), true);
        }
        let mut screen = Screen::enter().map_err(TuiError::Terminal)?;
        // Where cells cannot be painted, pictures are not wanted either.
        let choice = if theme.paints() { options.graphics } else { Choice::None };
        let asked = if choice == Choice::None {
            Asked::default()
        } else {
            ask::ask(choice).map_err(TuiError::Terminal)?
        };
        let graphics = asked.decide(choice);
        if graphics.placing.is_some() {
            screen.show_pictures(&graphics).map_err(TuiError::Terminal)?;
        }
        Ok(Self {
            app,
            theme,
            keymap: options.keymap,
            screen,
            early: asked.typed(),
            late: asked.late(),
            wanted: choice,
            asked,
            graphics,
            link,
            exporter: options.exporter,
            exports: mpsc::channel(8),
            waiting: VecDeque::new(),
            signals,
            dirty: true,
            session_gone: false,
        })
    }

    pub(super) async fn run(mut self) -> Result<Left, TuiError> {
        let mut events = EventStream::new();
        let mut next_frame = Instant::now();
        // Until when the next frame waits for values.
        let mut held: Option<Instant> = None;
        let arrived = self.screen.arrived();
        for key in std::mem::take(&mut self.early) {
            if let Flow::End(ended) = self.event(&Event::Key(key))? {
                return Ok(self.leave(ended));
            }
        }
        loop {
            self.send();
            let (now, ready) = (Instant::now(), self.screen.is_ready());
            let due = self.dirty && ready && now >= next_frame;
            // Once a frame, so that a held key asks for what it passes only where it is seen.
            if (due || !self.dirty) && self.ask_for_focus() && held.is_none() {
                held = Some(now + ANSWER);
            }
            held = held.filter(|&until| now < until && !self.app.is_answered());
            if due && held.is_none() {
                self.dirty = false;
                let context = Context::new(&self.app, &self.theme, &self.keymap);
                match self.screen.draw(|frame, pictures| view::draw(frame, Context { pictures, ..context })) {
                    // Nobody is there any more; the signal that says so is on its way, too.
                    Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EPIPE)) => {
                        return Ok(self.leave(Ended::Signal(libc::SIGHUP)));
                    }
                    drawn => drawn.map_err(TuiError::Terminal)?,
                }
                next_frame = Instant::now() + FRAME;
            }
            let retry = Instant::now() + RETRY;
            // The stream of events must be polled here alone: it remembers the first waker that it is
            // polled with until an event comes.
            let flow = tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Ok(event)) => self.event(&event)?,
                    Some(Err(error)) => return Err(TuiError::Terminal(error)),
                    // Input is closed: the terminal is gone.
                    None => Flow::End(Ended::Signal(libc::SIGHUP)),
                },
                signal = self.signals.next() => self.signal(signal)?,
                changed = self.link.snapshots.changed(), if !self.session_gone => {
                    self.snapshot(changed.is_ok());
                    Flow::GoOn
                }
                Some(result) = self.exports.1.recv() => {
                    self.app.exported(result);
                    self.dirty = true;
                    Flow::GoOn
                }
                () = sleep_until(held.map_or(next_frame, |until| until.max(next_frame))), if self.dirty && ready => Flow::GoOn,
                () = arrived.notified(), if self.dirty && !ready => Flow::GoOn,
                () = sleep_until(retry), if self.has_unsent() => Flow::GoOn,
            };
            if let Flow::End(ended) = flow {
                return Ok(self.leave(ended));
            }
        }
    }

    /// Ends the screen, or gives the terminal to the shell for a while.
    fn signal(&mut self, signal: i32) -> Result<Flow, TuiError> {
        match signal {
            libc::SIGTSTP => self.screen.suspend().map_err(TuiError::Terminal)?,
            // Stopped by what cannot be caught: whoever had the terminal meanwhile wrote to it.
            libc::SIGCONT => self.screen.resume().map_err(TuiError::Terminal)?,
            ended => return Ok(Flow::End(Ended::Signal(ended))),
        }
        self.dirty = true;
        Ok(Flow::GoOn)
    }

    fn leave(&mut self, ended: Ended) -> Left {
        // The session learns it at the latest when the channel closes.
        let _ = self.link.commands.try_send(Command::Quit);
        Left { ended, screen: self.app.saved(), typed: self.app.typed_here().to_vec() }
    }

    fn snapshot(&mut self, alive: bool) {
        if alive {
            let snapshot = Arc::clone(&self.link.snapshots.borrow_and_update());
            self.dirty |= self.app.set_snapshot(snapshot);
        } else {
            self.session_gone = true;
            self.app.tell("the session has ended: what it found stays here, q quits", true);
            self.dirty = true;
        }
    }

    fn event(&mut self, event: &Event) -> Result<Flow, TuiError> {
        match self.late.as_mut().map(|late| late.hear(event, std::time::Instant::now())) {
            None | Some(Heard::Users) => {}
            Some(Heard::Part) => return Ok(Flow::GoOn),
            Some(Heard::Answer(answer)) => {
                self.take_late(&answer)?;
                return Ok(Flow::GoOn);
            }
        }
        let action = match event {
            &Event::Key(key) => self.keymap.action(key, self.app.place()),
            // Text in the clipboard is no command: it goes where text is asked for, and nowhere else.
            Event::Paste(text) if self.app.place() == Place::Prompt => {
                Some(Action::Type(Typed::Paste(text.clone())))
            }
            &Event::Mouse(mouse) => {
                let (width, height) = self.screen.size().map_err(TuiError::Terminal)?;
                view::mouse(mouse, self.context(), Rect::new(0, 0, width, height))
            }
            Event::Resize(..) => {
                self.dirty = true;
                None
            }
            _ => None,
        };
        let Some(action) = action else { return Ok(Flow::GoOn) };
        self.app.update(action);
        self.dirty = true;
        for effect in self.app.take_effects() {
            match effect {
                Effect::Send(command) if self.waiting.len() < WAITING => self.waiting.push_back(command),
                Effect::Send(_) => self.app.tell("the session is busy: that was not sent", true),
                Effect::Export(request) => self.export(request)?,
                Effect::Graphics(choice) => self.show_graphics(choice)?,
                Effect::Redraw => self.screen.clear().map_err(TuiError::Terminal)?,
                Effect::Suspend => self.screen.suspend().map_err(TuiError::Terminal)?,
                Effect::Quit => {
                    self.send();
                    return Ok(Flow::End(Ended::Quit));
                }
            }
        }
        Ok(Flow::GoOn)
    }

    /// Takes over what the terminal says of its graphics when nobody waits for it any more.
    fn take_late(&mut self, answer: &[u8]) -> Result<(), TuiError> {
        self.asked.take(answer);
        let found = self.asked.decide(self.wanted);
        if self.graphics.placing.is_none() && found.placing.is_some() {
            self.graphics = found;
            self.screen.show_pictures(&self.graphics).map_err(TuiError::Terminal)?;
            self.dirty = true;
        }
        Ok(())
    }

    /// Shows heatmaps in another way, or says in which they are shown.
    fn show_graphics(&mut self, choice: Option<Choice>) -> Result<(), TuiError> {
        let found = match choice {
            None => {
                return {
                    self.app.tell(format!("graphics: {}", self.graphics), false);
                    Ok(())
                };
            }
            Some(choice) if choice != Choice::None && !self.theme.paints() => {
                self.app
                    .tell(format!("no {choice}: pictures need 256 colours or more, and no NO_COLOR"), true);
                return Ok(());
            }
            Some(choice) => {
                self.wanted = choice;
                self.asked.decide(choice)
            }
        };
        let refused = found.placing.is_none() && choice.is_some_and(|choice| choice != Choice::None);
        self.graphics = found;
        self.screen.show_pictures(&self.graphics).map_err(TuiError::Terminal)?;
        self.app.tell(format!("graphics: {}", self.graphics), refused);
        Ok(())
    }

    /// Drawing a picture takes a while, so it happens elsewhere; a panic there is an error here.
    fn export(&mut self, request: super::ExportRequest) -> Result<(), TuiError> {
        let Some(exporter) = self.exporter.clone() else {
            self.app.tell("no export in this session", true);
            return Ok(());
        };
        let (width, height) = self.screen.size().map_err(TuiError::Terminal)?;
        let screen = Rect::new(0, 0, width, height);
        let area = match request.what {
            ExportWhat::Pane(pane) => view::layout(&self.app, screen).and_then(|layout| layout.area(pane)),
            ExportWhat::Screen => None,
        };
        let area = area.unwrap_or(screen);
        // The text has the terminal's own colours, pictures have exact ones.
        let exact = Theme::new(Depth::TrueColor, self.theme.ground);
        let title = request.snapshot.model.clone();
        let request = super::ExportRequest {
            text: ansi::text(&self.drawn(&self.theme, screen), area),
            shown: Some(shot::screenshot(&self.drawn(&exact, screen), area, &exact, title)),
            ..request
        };
        self.app.tell("drawing the picture …", false);
        let report = self.exports.0.clone();
        tokio::spawn(async move {
            let result = tokio::task::spawn_blocking(move || exporter(request)).await;
            let result = result.unwrap_or_else(|_| Err("drawing it failed inside paritty".to_owned()));
            // Nobody listens any more: the screen was left.
            let _ = report.send(result).await;
        });
        Ok(())
    }

    /// The whole screen without pictures.
    fn drawn(&self, theme: &Theme, screen: Rect) -> Buffer {
        let mut buf = Buffer::empty(screen);
        view::render(Context::new(&self.app, theme, &self.keymap), screen, &mut buf);
        buf
    }

    fn context(&self) -> Context<'_> {
        Context::new(&self.app, &self.theme, &self.keymap)
    }

    fn has_unsent(&self) -> bool {
        !self.session_gone && (!self.waiting.is_empty() || self.app.wanted_focus().is_some())
    }

    /// Sends what waits, in order; never blocks.
    fn send(&mut self) {
        while let Some(command) = self.waiting.front() {
            match self.link.commands.try_send(command.clone()) {
                Ok(()) => {
                    self.waiting.pop_front();
                }
                Err(TrySendError::Full(_)) => return,
                Err(TrySendError::Closed(_)) => {
                    self.waiting.clear();
                    self.app.tell("the session has ended", true);
                }
            }
        }
    }

    /// Asks for the cell under the cursor, if that was not done yet. Says whether it did.
    fn ask_for_focus(&mut self) -> bool {
        let Some(command) = self.app.wanted_focus() else { return false };
        let sent = !matches!(self.link.commands.try_send(command), Err(TrySendError::Full(_)));
        if sent {
            self.app.asked_for_focus();
        }
        sent
    }
}

/// The signals that end the screen or stop the program.
#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 6]);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
            signal(SignalKind::from_raw(libc::SIGTSTP))?,
            signal(SignalKind::from_raw(libc::SIGCONT))?,
        ]))
    }

    async fn next(&mut self) -> i32 {
        let [term, hup, int, quit, stop, resume] = &mut self.0;
        tokio::select! {
            _ = term.recv() => libc::SIGTERM,
            _ = hup.recv() => libc::SIGHUP,
            _ = int.recv() => libc::SIGINT,
            _ = quit.recv() => libc::SIGQUIT,
            _ = stop.recv() => libc::SIGTSTP,
            _ = resume.recv() => libc::SIGCONT,
        }
    }
}
