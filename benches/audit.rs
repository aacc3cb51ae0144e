//! Auditing a run on the CPU beside computing the same positions once, on the same threads.
//! `PARITTY_BENCH_MODEL` names another model file.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paritty::audit::{Conclusion, Options, audit};
use paritty::engine::cpu::{CpuOptions, F32Engine};
use paritty::engine::{Engine, EngineError, NoTap, Tap};
use paritty::gguf::Gguf;
use paritty::model::{CaptureSet, Checkpoint, arch};
use paritty::trace::{Store, Token, TraceWriter};

const POSITIONS: u32 = 32;

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

    let mut group = c.benchmark_group(format!("audit/{}", path.file_stem().unwrap().to_string_lossy()));
    group.throughput(Throughput::Elements(POSITIONS.into())).sample_size(10);
    group.bench_function("compute once", |b| {
        b.iter(|| {
            engine.rewind(0).unwrap();
            for position in 0..POSITIONS {
                engine.step(300 + position * 37 % 700, &mut NoTap).unwrap();
            }
        });
    });
    group.bench_function("audit", |b| {
        b.iter(|| {
            let found = audit(&gguf, &graph, &store, &Options::default(), &mut |_, _| {}).unwrap();
            assert_eq!(found.conclusion(), Conclusion::Clean);
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
