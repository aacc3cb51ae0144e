//! One run of a source, recorded to its end with nobody watching.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::Notify;

use super::child::{self, Child};
use super::words::Words;
use super::{SessionError, Source};
use crate::engine::cpu::CpuOptions;
use crate::engine::external::{Load, Program, Start};
use crate::engine::open::{self, Kind};
use crate::engine::record::{Recorded, argmax};
use crate::engine::worker::Worker;
use crate::engine::{Engine, EngineError};
use crate::fault::{Injections, recorder};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Checkpoint, arch};
use crate::trace::{Store, Tensor, Token, TraceWriter};

/// How often a child's trace is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What an engine computes: a prompt, and how many tokens are generated after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// Ids, in order.
    pub prompt: Vec<u32>,
    /// How many more.
    pub generate: u32,
}

impl Feed {
    /// The tokens of a recorded run, from position 0 as far as they were recorded; `None` without any.
    pub fn of(store: &Store) -> Option<Self> {
        let prompt: Vec<u32> = (0..).map_while(|p| store.token(p).map(|t| t.id)).collect();
        (!prompt.is_empty()).then_some(Self { prompt, generate: 0 })
    }

    /// Positions that are computed at most.
    pub fn positions(&self) -> usize {
        self.prompt.len() + self.generate as usize
    }
}

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Making<'a> {
    /// The model.
    pub gguf: &'a Arc<Gguf>,
    /// Positions to open engines for; `None`: as many as are computed.
    pub context: Option<usize>,
    /// What is recorded. `Off`: nothing but the logits that the engine hands out, with no tap in it.
    pub capture: CaptureSet,
    /// How our engines compute, and llama.cpp's threads.
    pub cpu: CpuOptions,
    /// Longest silence of a program.
    pub patience: Duration,
    /// Faults for an engine of ours.
    pub faults: Injections,
}

/// Told positions done and of how many; false ends the run.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

/// The tokens of a text, with those that the model says begin one.
pub fn encode(gguf: &Gguf, text: &str) -> Result<Vec<u32>, SessionError> {
    Words::new(gguf).encode(text).map_err(SessionError::Usage)
}

impl Making<'_> {
    /// Records a run of `source` over `feed` at `path`. A trace is not run.
    pub fn record(
        &self,
        source: &Source,
        feed: &Feed,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<(), SessionError> {
        match source {
            Source::Cpu => self.own(Kind::Cpu, feed, path, progress),
            Source::Oracle => self.own(Kind::Oracle, feed, path, progress),
            Source::Cuda(device) => self.own(Kind::Cuda(*device), feed, path, progress),
            Source::Program(command) => self.program(command, feed, path, progress),
            Source::LlamaCpp => self.llama_cpp(feed, path, progress),
            Source::Trace(path) => {
                Err(SessionError::Usage(format!("{} is a trace and no engine", path.display())))
            }
        }
    }

    /// An engine of ours with the faults, ready for position 0, as its recorder shows it.
    pub fn engine(&self, kind: Kind, positions: usize) -> Result<Box<dyn Engine>, SessionError> {
        let context = self.context.unwrap_or(0).max(positions);
        let mut graph = arch::graph_for(self.gguf, arch::Context(Some(context)))?;
        self.faults.apply(&mut graph)?;
        let mut engine = recorder::dress(open::open(kind, self.gguf, graph, self.cpu)?, &self.faults);
        engine.set_capture(self.capture.clone());
        Ok(engine)
    }

    /// A trace for an engine of ours.
    pub fn writer(
        &self,
        engine: &dyn Engine,
        positions: usize,
        path: &Path,
    ) -> Result<TraceWriter, SessionError> {
        let mut header = engine.header();
        header.settings.n_ctx.get_or_insert(self.context.unwrap_or(0).max(positions) as u32);
        Ok(TraceWriter::create(path, &header)?)
    }

    fn own(&self, kind: Kind, feed: &Feed, path: &Path, progress: Progress<'_>) -> Result<(), SessionError> {
        let mut engine = self.engine(kind, feed.positions())?;
        let mut writer = self.writer(&*engine, feed.positions(), path)?;
        if matches!(self.capture, CaptureSet::Off) {
            return untapped(&mut *engine, &mut writer, feed, progress).and_then(|()| Ok(writer.end()?));
        }
        self.drive(Box::new(Recorded::with_writer(engine, writer)), feed, path, progress)
    }

    fn program(
        &self,
        command: &str,
        feed: &Feed,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<(), SessionError> {
        let model = self.gguf.path();
        let model = model.canonicalize().unwrap_or_else(|_| model.to_owned());
        let capture =
            if matches!(self.capture, CaptureSet::Off) { CaptureSet::Logits } else { self.capture.clone() };
        let context = self.context.unwrap_or(0).max(feed.positions());
        let program = Program::start(Start {
            command: command.to_owned(),
            load: Load::new(model, capture.to_string(), Some(context as u32)),
            trace: path.to_owned(),
            patience: self.patience,
            stop: Arc::new(AtomicBool::new(false)),
        });
        self.drive(Box::new(program.map_err(SessionError::Usage)?), feed, path, progress)
    }

    /// Gives a worker one token after the other.
    fn drive(
        &self,
        mut worker: Box<dyn Worker>,
        feed: &Feed,
        path: &Path,
        progress: Progress<'_>,
    ) -> Result<(), SessionError> {
        let words = Words::new(self.gguf);
        let (mut tokens, total) = (feed.prompt.clone(), feed.positions());
        let mut next = None;
        for position in 0..total {
            if position == tokens.len() {
                let chosen = next.or_else(|| most_likely(path, position.checked_sub(1)?));
                let Some(id) = chosen.filter(|&id| !words.ends_text(id)) else { break };
                tokens.push(id);
            }
            let id = tokens[position];
            let from_prompt = position < feed.prompt.len();
            let token = Token { id, piece: words.piece(id), from_prompt, columns: Some(1) };
            next = worker.step(&token).map_err(SessionError::Usage)?;
            go_on(progress(position + 1, total))?;
        }
        worker.end().map_err(SessionError::Usage)
    }

    fn llama_cpp(&self, feed: &Feed, path: &Path, progress: Progress<'_>) -> Result<(), SessionError> {
        let mut arguments = child::Tracing {
            model: self.gguf.path(),
            capture: &self.capture,
            generate: feed.generate,
            context: self.context,
            threads: self.cpu.threads,
            output: path,
        }
        .arguments();
        arguments.push(child::tokens(&feed.prompt));
        let mut child = Child::start(&arguments, Arc::new(Notify::new()))
            .map_err(SessionError::system("cannot start llama.cpp"))?;
        let mut store = Store::new(path);
        loop {
            let outcome = child.outcome();
            // The file is there only once the model is loaded.
            if path.exists() {
                store.advance(u64::MAX)?;
            }
            let done = store.positions().filter(|&p| store.is_complete(p)).count();
            go_on(progress(done, feed.positions()))?;
            match outcome {
                Some(outcome) => return outcome.map_err(SessionError::Usage),
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

/// Steps without a look into the engine, and records the logits that it hands out.
fn untapped(
    engine: &mut dyn Engine,
    writer: &mut TraceWriter,
    feed: &Feed,
    progress: Progress<'_>,
) -> Result<(), SessionError> {
    for (position, &id) in feed.prompt.iter().enumerate() {
        let at = position as u32;
        writer.token(at, &Token { id, piece: None, from_prompt: true, columns: Some(1) })?;
        let logits = engine.step(id, &mut crate::engine::NoTap)?;
        writer.tensor(at, Checkpoint::LOGITS, None, "", &[logits.len() as u32], logits)?;
        writer.complete(at)?;
        go_on(progress(position + 1, feed.prompt.len()))?;
    }
    Ok(())
}

/// The token that the logits of a trace's newest position favour.
fn most_likely(path: &Path, position: usize) -> Option<u32> {
    let mut logits = Tensor::default();
    Store::load(path).ok()?.read(position as u32, Checkpoint::LOGITS, &mut logits).ok()?;
    (!logits.values.is_empty()).then(|| argmax(&logits.values))
}

fn go_on(yes: bool) -> Result<(), SessionError> {
    if yes { Ok(()) } else { Err(EngineError::Request("interrupted".into()).into()) }
}

/// Where the trace of a source is, if it is one.
pub fn trace_of(source: &Source) -> Option<&PathBuf> {
    super::side::trace_path(source)
}

/// The kind of a source that is an engine of ours.
pub fn own_kind(source: &Source) -> Option<Kind> {
    match source {
        Source::Cpu => Some(Kind::Cpu),
        Source::Oracle => Some(Kind::Oracle),
        Source::Cuda(device) => Some(Kind::Cuda(*device)),
        _ => None,
    }
}
