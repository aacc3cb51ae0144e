//! Opens the sides of a session: from a source, with the session's model, tokens and settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::sync::Notify;

use super::setup::Setup;
use super::side::{EngineParts, Side};
use super::{Config, SessionError, Source, Which};
use crate::engine::open::Kind;
use crate::fault::Injections;
use crate::gguf::Gguf;
use crate::model::Graph;

/// What every side is made from.
pub(super) struct Builder {
    gguf: Arc<Gguf>,
    /// Without faults.
    graph: Graph,
    config: Config,
    /// Positions to open engines for.
    context: Option<usize>,
    wake: Arc<Notify>,
    /// Sides opened so far.
    opened: u32,
    /// Sides that are being closed.
    retired: Vec<JoinHandle<()>>,
    /// Removed when the session ends.
    folder: TempDir,
}

impl Builder {
    /// For a session of `config` on this model; traces go into a temporary folder.
    pub fn new(
        gguf: Arc<Gguf>,
        graph: Graph,
        config: &Config,
        context: Option<usize>,
        wake: &Arc<Notify>,
    ) -> Result<Self, SessionError> {
        let folder = tempfile::Builder::new()
            .prefix("paritty-")
            .tempdir()
            .map_err(SessionError::system("cannot make a temporary folder for traces"))?;
        Ok(Self {
            gguf,
            graph,
            config: config.clone(),
            context,
            wake: Arc::clone(wake),
            opened: 0,
            retired: Vec::new(),
            folder,
        })
    }

    /// The model's graph, without faults.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The side that is trusted.
    pub fn reference(&mut self) -> Result<Side, SessionError> {
        let config = self.config.clone();
        self.open(Which::Reference, &config.reference, &Injections::default(), &config)
    }

    /// The side under test.
    pub fn candidate(&mut self, setup: &Setup) -> Result<Side, SessionError> {
        let config = Config { cpu: setup.cpu, ..self.config.clone() };
        self.open(Which::Candidate, &setup.source, &setup.faults, &config)
    }

    fn open(
        &mut self,
        which: Which,
        source: &Source,
        faults: &Injections,
        config: &Config,
    ) -> Result<Side, SessionError> {
        // Each in a folder of its own: one that is being closed may still write.
        let folder = self.folder.path().join(format!("{which}-{}", self.opened));
        self.opened += 1;
        std::fs::create_dir(&folder).map_err(SessionError::system(folder.display().to_string()))?;
        let name = match which {
            Which::Reference => "reference",
            Which::Candidate => "candidate",
        };
        let engine = |kind| {
            let mut graph = self.graph.clone();
            faults.apply(&mut graph)?;
            let parts = EngineParts { gguf: &self.gguf, graph, faults: faults.clone() };
            Side::engine(name, kind, parts, config, &folder, &self.wake)
        };
        match source {
            Source::Cpu => engine(Kind::Cpu),
            Source::Oracle => engine(Kind::Oracle),
            Source::Cuda(device) => engine(Kind::Cuda(*device)),
            Source::Program(command) => {
                Side::program(name, command, config, self.context, &folder, &self.wake)
            }
            Source::LlamaCpp => Side::llama_cpp(name, config, &folder, &self.wake),
            Source::Trace(path) => Side::trace(path, config, &folder, &self.wake),
        }
    }

    /// Closes a side that is not needed any more, without waiting for the step in hand, and removes
    /// what it wrote here.
    pub fn retire(&mut self, side: Side) {
        self.retired.retain(|thread| !thread.is_finished());
        let folder = side.store().path().parent().map(Path::to_owned);
        let ours = folder.filter(|folder| folder.starts_with(self.folder.path()));
        let close = move || close(side, ours);
        // Where there is no thread to be had, the side was dropped with the closure.
        self.retired.extend(std::thread::Builder::new().name("closing".into()).spawn(close));
    }
}

fn close(side: Side, folder: Option<PathBuf>) {
    drop(side);
    if let Some(folder) = folder {
        // The session's folder goes with all that is left.
        let _ = std::fs::remove_dir_all(folder);
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        for thread in self.retired.drain(..) {
            // It reports nothing.
            let _ = thread.join();
        }
    }
}
