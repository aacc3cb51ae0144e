//! `paritty bench`: tokens per second of an engine of ours, with and without taps.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use super::Outcome;
use crate::engine::cpu::CpuOptions;
use crate::engine::open::{self, Kind};
use crate::engine::{Engine, EngineError, Tap};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Checkpoint, arch};

/// Measure how fast an engine decodes, token by token, and what looking costs.
///
/// The same arbitrary tokens are fed in every run; medians of several runs are printed. Captured values
/// are brought home and read once.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Model file (GGUF)
    model: PathBuf,
    /// Engine: cpu, cuda, cuda:N or oracle [default: cpu]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<Kind>,
    /// Tokens of a run
    #[arg(short, value_name = "N", default_value_t = 128)]
    n: usize,
    /// Positions computed before the clock starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    depth: usize,
    /// Runs of each kind
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// What is captured: off, logits, layers, all or a regular expression; several are measured in turn
    #[arg(long, value_name = "SET,SET,…", value_delimiter = ',', default_value = "off,layers,all")]
    checkpoints: Vec<CaptureSet>,
    /// Threads [default: all]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Keep keys and values in f16, as llama.cpp does by default
    #[arg(long)]
    kv_f16: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes values in as a reader would: one pass over each.
#[derive(Default)]
struct Sum {
    values: u64,
    sum: f64,
}

impl Tap for Sum {
    fn tensor(&mut self, _: Checkpoint, _: &str, _: &[u32], values: &[f32]) -> Result<(), EngineError> {
        self.values += values.len() as u64;
        self.sum += values.iter().sum::<f32>() as f64;
        Ok(())
    }
}

impl BenchArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        ensure!(self.n > 0 && self.runs > 0, "-n and --runs have to be at least 1");
        let kind = self.engine.unwrap_or_else(Kind::best);
        let gguf = Arc::new(Gguf::open(&self.model)?);
        let graph = arch::graph(&gguf)?;
        ensure!(
            self.depth + self.n <= graph.n_ctx,
            "{} positions are asked for, the model's context has {}",
            self.depth + self.n,
            graph.n_ctx
        );
        let options = CpuOptions { threads: self.threads, kv_f16: self.kv_f16 };
        let bar = super::bytes_bar(gguf.file_size());
        let start = Instant::now();
        let mut engine = open::open_with(kind, &gguf, graph, options, &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        let opened = start.elapsed().as_secs_f64();
        engine.step(0, &mut Sum::default())?;
        let first = start.elapsed().as_secs_f64();
        engine.rewind(0)?;

        let mut results = Vec::new();
        for set in &self.checkpoints {
            engine.set_capture(set.clone());
            let mut tap = Sum::default();
            // Not counted: what is set up once for a set.
            feed(engine.as_mut(), 2, &mut tap)?;
            tap = Sum::default();
            let mut seconds = Vec::new();
            for _ in 0..self.runs {
                engine.rewind(0)?;
                let mut unseen = Sum::default();
                feed(engine.as_mut(), self.depth, &mut unseen)?;
                let start = Instant::now();
                feed(engine.as_mut(), self.n, &mut tap)?;
                seconds.push(start.elapsed().as_secs_f64());
            }
            engine.rewind(0)?;
            seconds.sort_by(f64::total_cmp);
            let speed = self.n as f64 / seconds[seconds.len() / 2];
            let bytes = tap.values * 4 / (self.n * self.runs) as u64;
            results.push((set.to_string(), speed, bytes));
        }
        self.print(kind, opened, first, &results)?;
        Ok(Outcome::Ok)
    }

    fn print(
        &self,
        kind: Kind,
        opened: f64,
        first: f64,
        results: &[(String, f64, u64)],
    ) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.json {
            let runs: Vec<_> = results
                .iter()
                .map(|(set, speed, bytes)| json!({"checkpoints": set, "tokens_per_s": speed, "bytes_per_token": bytes}))
                .collect();
            let report = json!({
                "model": self.model.display().to_string(),
                "engine": kind.to_string(),
                "n": self.n,
                "depth": self.depth,
                "seconds_to_open": opened,
                "seconds_to_first_token": first,
                "runs": runs,
            });
            writeln!(out, "{report:#}")?;
            return Ok(());
        }
        writeln!(out, "{} on {kind}: {} tokens from position {}", self.model.display(), self.n, self.depth)?;
        writeln!(out, "opened in {opened:.3} s, first token after {first:.3} s")?;
        for (set, speed, bytes) in results {
            let share = speed / results[0].1 * 100.0;
            writeln!(out, "taps {set:<10} {speed:>9.1} tokens/s {share:>6.1} %  {bytes:>10} bytes a token")?;
        }
        Ok(())
    }
}

/// Feeds `n` arbitrary tokens.
fn feed(engine: &mut dyn Engine, n: usize, tap: &mut Sum) -> anyhow::Result<()> {
    let n_vocab = engine.graph().n_vocab;
    for _ in 0..n {
        let token = 300 + engine.position() * 37 % 1000;
        engine.step_ahead((token % n_vocab) as u32, tap)?;
    }
    engine.flush(tap)?;
    Ok(())
}
