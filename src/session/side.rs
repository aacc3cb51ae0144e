//! One side of a session: a trace that is followed, and what makes it grow.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::Notify;

use super::child::{self, Child};
use super::config::{Config, SessionError};
use super::driver::Driver;
use super::records::KEPT;
use super::replay::Replay;
use super::{SideStatus, Source, SourceState, Tokens};
use crate::engine::cpu::CpuOptions;
use crate::engine::external::{Load, Program, Start};
use crate::engine::open::{self, Kind};
use crate::engine::record::Recorded;
use crate::engine::worker::Worker;
use crate::fault::{Injections, recorder};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Graph};
use crate::trace::tail::{Follow, Liveness};
use crate::trace::{Arrival, Notes, Store};

/// How long to sleep at most where nothing happens untold.
const UNTOLD: Duration = Duration::from_secs(10);

/// What makes a trace grow.
enum Maker {
    /// Somebody else.
    Nobody,
    /// An engine of ours, or a program, on orders; and how to start it anew.
    Engine(Driver, Restart),
    /// A child process.
    Child(Child),
    /// A replay.
    Replay(Replay),
}

/// Starts a worker that failed anew.
type Restart = Box<dyn Fn() -> std::io::Result<Driver> + Send>;

/// One side.
pub struct Side {
    follow: Follow,
    maker: Maker,
    team: String,
    backend: String,
    remark: Option<String>,
    failure: Option<String>,
    /// Whether the last poll left something unread.
    behind: bool,
}

/// What an engine of ours needs to start.
pub struct EngineParts<'a> {
    /// The model.
    pub gguf: &'a Arc<Gguf>,
    /// Its graph, with faults.
    pub graph: Graph,
    /// The faults in it, for the title, the header and the recorder.
    pub faults: Injections,
}

/// What one poll took in.
#[derive(Debug, Default)]
pub struct News {
    /// Positions that changed.
    pub changed: BTreeSet<u32>,
    /// Whether everything known before is void.
    pub restarted: bool,
    /// Whether there is more to read at once.
    pub more: bool,
    /// Whether anything else changed.
    pub touched: bool,
}

impl Maker {
    /// A worker on a thread of its own, which `open` builds there, now and again after a failure.
    fn worker(
        name: &'static str,
        wake: &Arc<Notify>,
        open: impl Fn(Arc<AtomicBool>) -> Result<Box<dyn Worker>, String> + Send + Sync + 'static,
    ) -> Result<Self, SessionError> {
        let (open, wake) = (Arc::new(open), Arc::clone(wake));
        let start = move || {
            let open = Arc::clone(&open);
            Driver::start(name, Arc::clone(&wake), move |stop| open(stop))
        };
        let driver = start().map_err(SessionError::system("cannot start the engine's thread"))?;
        Ok(Self::Engine(driver, Box::new(start)))
    }
}

impl Side {
    /// A trace file that somebody else wrote or writes; replayed if the configuration says so.
    pub fn trace(
        path: &Path,
        config: &Config,
        folder: &Path,
        wake: &Arc<Notify>,
    ) -> Result<Self, SessionError> {
        let (maker, path, remark) = match config.replay {
            Some(pace) => {
                let (replay, path) = Replay::start(path, folder, pace)
                    .map_err(SessionError::system(format!("cannot replay {}", path.display())))?;
                (Maker::Replay(replay), path, Some("replay of a recorded trace".to_owned()))
            }
            None => (Maker::Nobody, path.to_owned(), None),
        };
        let name =
            path.file_stem().map(|s| crate::text::safe_short(&s.to_string_lossy(), 40)).unwrap_or_default();
        Self::new(&path, maker, (name, String::new()), remark, wake)
    }

    /// An engine of ours, which writes its trace into `folder`.
    pub fn engine(
        name: &'static str,
        kind: Kind,
        parts: EngineParts<'_>,
        config: &Config,
        folder: &Path,
        wake: &Arc<Notify>,
    ) -> Result<Self, SessionError> {
        let path = folder.join(format!("{name}.jsonl"));
        let remark = (!parts.faults.is_empty()).then(|| format!("fault: {}", parts.faults));
        let maker = {
            let path = path.clone();
            let (gguf, graph, faults) = (Arc::clone(parts.gguf), parts.graph, parts.faults);
            let (options, capture): (CpuOptions, CaptureSet) = (config.cpu, config.capture.clone());
            Maker::worker(name, wake, move |_| {
                let mut engine =
                    open::open(kind, &gguf, graph.clone(), options).map_err(|e| e.to_string())?;
                engine.set_capture(capture.clone());
                let engine = recorder::dress(engine, &faults);
                let recorded = Recorded::new(engine, &path).map_err(|e| e.to_string())?;
                Ok(Box::new(recorded))
            })?
        };
        let backend = kind.backend();
        Self::new(&path, maker, ("paritty".into(), backend.into()), remark, wake)
    }

    /// A program that speaks our protocol and is driven like an engine of ours.
    pub fn program(
        name: &'static str,
        command: &str,
        config: &Config,
        context: Option<usize>,
        folder: &Path,
        wake: &Arc<Notify>,
    ) -> Result<Self, SessionError> {
        let path = folder.join(format!("{name}.jsonl"));
        let model = config.model.canonicalize().unwrap_or_else(|_| config.model.clone());
        let load = Load::new(model, config.capture.to_string(), context.map(|n| n as u32));
        let (command, trace, patience) = (command.to_owned(), path.clone(), config.patience);
        let team = crate::text::safe_short(&command, 40);
        let maker = Maker::worker(name, wake, move |stop| {
            let (command, load, trace) = (command.clone(), load.clone(), trace.clone());
            let program = Program::start(Start { command, load, trace, patience, stop })?;
            Ok(Box::new(program))
        })?;
        Self::new(&path, maker, (team, "program".into()), None, wake)
    }

    /// The real llama.cpp, as a child that writes its trace into `folder`.
    pub fn llama_cpp(
        name: &str,
        config: &Config,
        folder: &Path,
        wake: &Arc<Notify>,
    ) -> Result<Self, SessionError> {
        let path = folder.join(format!("{name}.jsonl"));
        let fed = match &config.tokens {
            Tokens::Prompt(text) => format!("--prompt={text}"),
            Tokens::Ids(ids) => child::tokens(ids),
            Tokens::FromTrace => {
                return Err(SessionError::Usage(
                    "source llama.cpp needs something to compute: give --prompt TEXT".into(),
                ));
            }
        };
        let mut arguments = child::Tracing {
            model: &config.model,
            capture: &config.capture,
            generate: config.generate,
            context: config.context,
            threads: config.cpu.threads,
            output: &path,
        }
        .arguments();
        arguments.push(fed);
        let child = Child::start(&arguments, Arc::clone(wake))
            .map_err(SessionError::system("cannot start llama.cpp"))?;
        Self::new(&path, Maker::Child(child), ("llama.cpp".into(), "CPU".into()), None, wake)
    }

    fn new(
        path: &Path,
        maker: Maker,
        (team, backend): (String, String),
        remark: Option<String>,
        wake: &Arc<Notify>,
    ) -> Result<Self, SessionError> {
        let wake = Arc::clone(wake);
        let mut follow = Follow::open(path, move || wake.notify_one())?;
        follow.keep_arrivals(KEPT);
        Ok(Self { follow, maker, team, backend, remark, failure: None, behind: true })
    }

    /// The run.
    pub fn store(&self) -> &Store {
        self.follow.store()
    }

    /// The engine, if this side is one of ours.
    pub fn driver(&mut self) -> Option<&mut Driver> {
        match &mut self.maker {
            Maker::Engine(driver, _) => Some(driver),
            _ => None,
        }
    }

    /// As [`Side::driver`], to look at.
    pub fn engine_ref(&self) -> Option<&Driver> {
        match &self.maker {
            Maker::Engine(driver, _) => Some(driver),
            _ => None,
        }
    }

    /// Starts the engine anew if it failed. Says whether it did.
    pub fn restart(&mut self) -> Result<bool, SessionError> {
        let Maker::Engine(driver, start) = &mut self.maker else { return Ok(false) };
        if driver.failure().is_none() {
            return Ok(false);
        }
        *driver = start().map_err(SessionError::system("cannot start the engine's thread"))?;
        self.failure = None;
        Ok(true)
    }

    /// Positions a second at most, where a trace is replayed. Says whether one is.
    pub fn limit_replay(&self, speed: Option<f32>) -> bool {
        let replays = matches!(self.maker, Maker::Replay(_));
        if let Maker::Replay(replay) = &self.maker {
            replay.limit(speed);
        }
        replays
    }

    /// How long to sleep at most before the next poll.
    pub fn patience(&self) -> Duration {
        match &self.maker {
            // It tells when it has written something, and writes nothing before it is told to.
            Maker::Engine(driver, _) if driver.is_idle() && !self.behind => UNTOLD,
            _ => self.follow.patience(),
        }
    }

    /// Reads on and notices failures.
    pub fn poll(&mut self, budget: u64) -> Result<News, SessionError> {
        // First what the engine says, then its trace: what it reports was written before.
        let failure = match &mut self.maker {
            Maker::Engine(driver, _) => {
                driver.poll();
                driver.failure().map(|t| crate::text::safe(t).into_owned())
            }
            Maker::Child(child) => child.failure(),
            Maker::Nobody | Maker::Replay(_) => None,
        };
        let progress = self.follow.poll(budget)?;
        let mut news = News {
            touched: progress.bytes > 0,
            changed: progress.changed.into_iter().collect(),
            restarted: progress.restarted,
            more: !progress.at_end,
        };
        self.behind = news.more;
        if failure.is_some() && failure != self.failure {
            self.failure = failure;
            news.touched = true;
        }
        Ok(news)
    }

    /// The newest records since the last call, and how many there were.
    pub fn take_arrivals(&mut self) -> (VecDeque<Arrival>, u64) {
        self.follow.take_arrivals()
    }

    /// Remembers that reading failed.
    pub fn fail(&mut self, error: &SessionError) {
        self.failure = Some(crate::text::safe(&error.to_string()).into_owned());
    }

    /// Whether the last poll left something unread.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether it broke.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether nothing will come any more.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.store().has_ended()
    }

    /// For the title line. `due`: positions that are read and yet to be compared; they are said to be still to
    /// come. `finished`: the plan is fulfilled, so that a driven engine is done.
    pub fn status(
        &self,
        due: &BTreeSet<u32>,
        finished: bool,
        running: bool,
        limit: Option<u32>,
    ) -> SideStatus {
        let store = self.store();
        let header = store.header();
        let known = |text: Option<&String>, default: &str| {
            text.filter(|t| !t.is_empty())
                .map_or_else(|| default.to_owned(), |t| crate::text::safe_short(t, 40))
        };
        let state = match (&self.failure, &self.maker) {
            (Some(failure), _) => SourceState::Failed(failure.clone()),
            (None, Maker::Engine(..)) if finished => SourceState::Ended,
            (None, Maker::Engine(..)) if running => SourceState::Live,
            (None, Maker::Engine(..)) => SourceState::Ready,
            (None, _) => match self.follow.liveness() {
                Liveness::Waiting => SourceState::Waiting,
                Liveness::Stalled(since) => SourceState::Stalled(since),
                Liveness::Ended if due.is_empty() => SourceState::Ended,
                Liveness::Live | Liveness::Ended => SourceState::Live,
            },
        };
        SideStatus {
            team: known(header.map(|h| &h.team), &self.team),
            backend: known(header.map(|h| &h.backend), &self.backend),
            // A file that holds no trace so far is said to be none, and followed all the same.
            remark: self.remark.clone().or_else(|| Some(crate::text::safe(&store.complaint()?).into_owned())),
            state,
            positions: (store.complete_count() - due.iter().filter(|&&p| store.is_complete(p)).count())
                as u32,
            expected: header.and_then(|h| h.n_total).or(limit.filter(|_| self.engine_ref().is_some())),
            notes: Notes::clone(store.notes()),
        }
    }
}

/// The path of a source that is a file.
pub fn trace_path(source: &Source) -> Option<&PathBuf> {
    match source {
        Source::Trace(path) => Some(path),
        _ => None,
    }
}
