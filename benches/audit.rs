//! Auditing a run on the CPU beside computing the same positions once, on the same threads.
//! `PARITTY_BENCH_MODEL` names another model file.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark talks, and fails by panicking"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paritty::audit::{Conclusion, Options, audit};
use paritty::engine::cpu::{CpuOptions, F32Engine};
use paritty::engine::{Engine, EngineError, NoTap, Tap};
use paritty::gguf::Gguf;
use paritty::model::{CaptureSet, Checkpoint, arch};
use paritty::trace::{Store, Token, TraceWriter};

const POSITIONS: u32 = 32;
/// What takes so long is timed once and not ten times.
const LONG: Duration = Duration::from_secs(10);

/// Writes what the engine shows.
struct Record<'a> {
    writer: &'a mut TraceWriter,
    position: u32,
}

impl Tap for Record<'_> {
    fn tensor(&mut self, c: Checkpoint, op: &str, shape: &[u32], values: &[f32]) -> Result<(), EngineError> {
        self.writer
            .tensor(self.position, c, None, op, shape, values)
            .map_err(|e| EngineError::Sink(e.to_string()))
    }
}

fn bench(c: &mut Criterion) {
    let path = std::env::var_os("PARITTY_BENCH_MODEL").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/shakespeare-q4_k_m.gguf")),
        PathBuf::from,
    );
    let gguf = Arc::new(Gguf::open(&path).unwrap());
    let graph = arch::graph(&gguf).unwrap();
    let mut engine = F32Engine::new(&gguf, graph.clone(), CpuOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("run.jsonl");
    let mut header = engine.header();
    header.sidecar = Some("run.bin".into());
    let mut writer = TraceWriter::create(&trace, &header).unwrap();
    engine.set_capture(CaptureSet::All);
    for position in 0..POSITIONS {
        let id = 300 + position * 37 % 700;
        writer.token(position, &Token { id, columns: Some(1), ..Token::default() }).unwrap();
        engine.step(id, &mut Record { writer: &mut writer, position }).unwrap();
        writer.complete(position).unwrap();
    }
    writer.end().unwrap();
    engine.set_capture(CaptureSet::Off);
    let store = Store::load(&trace).unwrap();

    let mut compute = || {
        engine.rewind(0).unwrap();
        for position in 0..POSITIONS {
            engine.step(300 + position * 37 % 700, &mut NoTap).unwrap();
        }
    };
    let recompute = || {
        let found = audit(&gguf, &graph, &store, &Options::default(), &mut |_, _| {}).unwrap();
        assert_eq!(found.conclusion(), Conclusion::Clean);
    };
    // One beside the other, so that a busy machine slows both alike.
    let mut ratios = Vec::new();
    let mut once = Duration::ZERO;
    while ratios.is_empty() || (ratios.len() < 5 && once < LONG) {
        let computing = timed(&mut compute);
        let auditing = timed(recompute);
        once = computing + auditing;
        ratios.push((auditing.as_secs_f64() / computing.as_secs_f64(), computing, auditing));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, computing, auditing) = ratios[ratios.len() / 2];
    println!(
        "audit/{}: {POSITIONS} positions in {auditing:.2?}, {ratio:.2} times the {computing:.2?} that computing them once takes \
         (median of {})",
        path.file_stem().unwrap().to_string_lossy(),
        ratios.len()
    );
    if once >= LONG {
        return;
    }
    let mut group = c.benchmark_group(format!("audit/{}", path.file_stem().unwrap().to_string_lossy()));
    group.throughput(Throughput::Elements(POSITIONS.into())).sample_size(10);
    group.bench_function("compute once", |b| b.iter(&mut compute));
    group.bench_function("audit", |b| b.iter(recompute));
    group.finish();
}

fn timed(mut work: impl FnMut()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

criterion_group!(benches, bench);
criterion_main!(benches);
