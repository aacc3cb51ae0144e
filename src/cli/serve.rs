//! `paritty serve`: our engine as a program that another paritty drives.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use super::Outcome;
use crate::engine::cpu::CpuOptions;
use crate::engine::external::{Load, Request};
use crate::engine::open::{self, Kind};
use crate::engine::record::Recorded;
use crate::engine::worker::Worker as _;
use crate::fault::{Injection, Injections, recorder};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, arch};
use crate::trace::{Token, TraceWriter};

/// Be the engine that another paritty drives: read requests on standard input, answer with trace
/// records on standard output.
///
/// `paritty inspect MODEL --reference SRC --candidate "cmd:ssh BOX paritty serve MODEL"` steps an
/// engine on another machine. The protocol is the one that any engine can speak (README).
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Model file (GGUF) [default: the one that is asked for]
    model: Option<PathBuf>,
    /// Engine that computes
    #[arg(long, value_name = "ENGINE", default_value = "cpu")]
    engine: EngineKind,
    /// Threads that compute [default: all]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Mistake to make: ID or ID@LAYER (`paritty demo --fault list` names them); may be given several
    /// times
    #[arg(long, value_name = "ID")]
    fault: Vec<Injection>,
}

/// Engines that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineKind {
    /// Our engine on the CPU, f32
    Cpu,
    /// Our engine in f64: stands for exact arithmetic
    Oracle,
}

impl ServeArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let mut engine = None;
        for line in io::stdin().lock().lines() {
            let line = line.context("standard input")?;
            if line.trim().is_empty() {
                continue;
            }
            let answer = match serde_json::from_str(&line) {
                Err(error) => {
                    let quote = crate::text::safe_short(&line, 60);
                    Err(format!("`{quote}` is no request of the engine protocol: {error}"))
                }
                Ok(Request::Load(load)) => {
                    self.load(&load).map(|opened| engine = Some(opened)).map_err(|e| format!("{e:#}"))
                }
                Ok(request) => match &mut engine {
                    Some(engine) => obey(engine, &request),
                    None => Err("nothing is loaded: `load` comes first".into()),
                },
            };
            if let Err(error) = answer {
                let mut out = io::stdout().lock();
                writeln!(out, "{}", serde_json::json!({ "error": error }))?;
                out.flush()?;
            }
        }
        Ok(Outcome::Ok)
    }

    fn load(&self, load: &Load) -> anyhow::Result<Recorded> {
        let gguf = Arc::new(Gguf::open(self.model.as_ref().unwrap_or(&load.model))?);
        let context = arch::Context(load.n_ctx.map(|n| n as usize));
        let mut graph = arch::graph_for(&gguf, context)?;
        let faults = Injections::new(self.fault.clone());
        ensure!(
            faults.of_tokens().is_none(),
            "a mistake in the tokens is made where they are chosen, not by the engine"
        );
        faults.apply(&mut graph)?;
        let kind = match self.engine {
            EngineKind::Cpu => Kind::Cpu,
            EngineKind::Oracle => Kind::Oracle,
        };
        let options = CpuOptions { threads: self.threads, kv_f16: false };
        let mut engine = open::open(kind, &gguf, graph, options)?;
        let capture: CaptureSet =
            load.checkpoints.parse().map_err(|e| anyhow::anyhow!("checkpoints: {e}"))?;
        engine.set_capture(capture);
        let engine = recorder::dress(engine, &faults);
        let (header, out) = (engine.header(), Box::new(io::stdout()));
        // On another machine the folder is not there, and values go into the lines.
        let here = load.sidecar.as_ref().filter(|path| path.parent().is_some_and(std::path::Path::is_dir));
        let writer = match here {
            Some(sidecar) => TraceWriter::beside(out, &header, sidecar)?,
            None => TraceWriter::text(out, &header, None)?,
        };
        Ok(Recorded::with_writer(engine, writer))
    }
}

fn obey(engine: &mut Recorded, request: &Request) -> Result<(), String> {
    match *request {
        Request::Step { position, token } => {
            if position as usize != engine.position() {
                return Err(format!("position {position} was asked for, {} comes next", engine.position()));
            }
            let token = Token { id: token, piece: None, from_prompt: true, columns: Some(1) };
            engine.step(&token).map(|_| ())
        }
        Request::Rewind { position } => engine.rewind(position),
        Request::Load(_) => Ok(()),
    }
}
