//! `paritty bench`: tokens per second of an engine of ours, with and without taps.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use super::Outcome;
use super::gpu::GpuArgs;
use crate::engine::cpu::CpuOptions;
use crate::engine::open::{self, Kind, OpenOptions};
use crate::engine::statistics::Statistics;
use crate::engine::{Engine, EngineError, Tap};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Checkpoint, arch};
use crate::text;

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
    /// Measure statistics of what is captured, too, instead of values
    #[arg(long)]
    statistics: bool,
    /// Measure the prompt in batches of N tokens, too, where the engine takes batches
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    batch: usize,
    #[command(flatten)]
    gpu: GpuArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes values in as a reader would: one pass over each.
#[derive(Default)]
struct Sum {
    bytes: u64,
    sum: f64,
}

impl Tap for Sum {
    fn tensor(&mut self, _: Checkpoint, _: &str, _: &[u32], values: &[f32]) -> Result<(), EngineError> {
        self.bytes += size_of_val(values) as u64;
        self.sum += values.iter().sum::<f32>() as f64;
        Ok(())
    }

    fn statistics(
        &mut self,
        _: Checkpoint,
        _: &str,
        _: &[u32],
        statistics: &Statistics,
    ) -> Result<(), EngineError> {
        self.bytes += size_of_val(statistics) as u64;
        self.sum += statistics.rms;
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
        let cpu = CpuOptions { threads: self.threads, kv_f16: self.kv_f16 };
        let options = OpenOptions { cpu, cuda: self.gpu.options(self.batch, self.depth + self.n) };
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
            results.push(self.measure(engine.as_mut(), format!("taps {set}"), 1)?);
        }
        if self.statistics {
            ensure!(
                engine.reduce(true),
                "engine {kind} does not reduce what it captures; leave out --statistics"
            );
            engine.set_capture(CaptureSet::All);
            results.push(self.measure(engine.as_mut(), "statistics of all".into(), 1)?);
            engine.reduce(false);
        }
        if self.batch > 1 {
            let size = engine.batch_size();
            ensure!(size > 1, "engine {kind} computes token by token; leave out --batch");
            for set in [CaptureSet::Off, CaptureSet::All] {
                engine.set_capture(set.clone());
                results.push(self.measure(
                    engine.as_mut(),
                    format!("batches of {size}, taps {set}"),
                    size,
                )?);
            }
        }
        self.print(kind, gguf.file_size(), (opened, first), &results)?;
        Ok(Outcome::Ok)
    }

    /// The median speed of runs in batches of `together`.
    fn measure(&self, engine: &mut dyn Engine, what: String, together: usize) -> anyhow::Result<Measured> {
        let mut tap = Sum::default();
        // Not counted: what is set up once for a set, and for a batch of this size.
        feed(engine, 2, 1, &mut tap)?;
        feed(engine, together.min(self.n), together, &mut tap)?;
        tap = Sum::default();
        let mut seconds = Vec::new();
        for _ in 0..self.runs {
            engine.rewind(0)?;
            let mut unseen = Sum::default();
            feed(engine, self.depth, 1, &mut unseen)?;
            let start = Instant::now();
            feed(engine, self.n, together, &mut tap)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        engine.rewind(0)?;
        seconds.sort_by(f64::total_cmp);
        let speed = self.n as f64 / seconds[seconds.len() / 2];
        Ok(Measured { what, speed, bytes: tap.bytes / (self.n * self.runs) as u64 })
    }

    fn print(
        &self,
        kind: Kind,
        size: u64,
        (opened, first): (f64, f64),
        results: &[Measured],
    ) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.json {
            let runs: Vec<_> = results
                .iter()
                .map(|run| json!({"run": run.what, "tokens_per_s": run.speed, "bytes_per_token": run.bytes}))
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
        let model = text::safe(&self.model.display().to_string()).into_owned();
        writeln!(out, "{model} on {kind}: {} tokens from position {}", self.n, self.depth)?;
        let rate = size as f64 / 1e9 / opened;
        writeln!(out, "opened in {opened:.3} s ({rate:.1} GB/s), first token after {first:.3} s")?;
        for Measured { what, speed, bytes } in results {
            let share = speed / results[0].speed * 100.0;
            writeln!(out, "{what:<26} {speed:>9.1} tokens/s {share:>6.1} %  {bytes:>10} bytes a token")?;
        }
        Ok(())
    }
}

/// What one kind of run gave.
struct Measured {
    what: String,
    /// Tokens a second.
    speed: f64,
    /// Bytes shown for a token.
    bytes: u64,
}

/// Feeds `n` arbitrary tokens, `together` at once.
fn feed(engine: &mut dyn Engine, n: usize, together: usize, tap: &mut Sum) -> anyhow::Result<()> {
    let n_vocab = engine.graph().n_vocab;
    let first = engine.position();
    let tokens: Vec<u32> = (first..first + n).map(|p| ((300 + p * 37 % 1000) % n_vocab) as u32).collect();
    for tokens in tokens.chunks(together) {
        match tokens {
            &[token] => engine.step_ahead(token, tap)?,
            _ => engine.batch(tokens, tap)?,
        };
    }
    engine.flush(tap)?;
    Ok(())
}
