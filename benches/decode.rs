//! Decoding on the CPU, token by token: our engine with taps off, on layers and on everything, and
//! (feature `llama-cpp`) the real llama.cpp on the same file, same threads, with and without its
//! callback. `PARITTY_BENCH_MODEL` names another model file.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paritty::engine::cpu::{CpuOptions, F32Engine};
use paritty::engine::{Engine, EngineError, Tap};
use paritty::gguf::Gguf;
use paritty::model::{CaptureSet, Checkpoint, arch};

const POSITIONS: usize = 32;
const THREADS: usize = 2;

fn models() -> Vec<PathBuf> {
    match std::env::var_os("PARITTY_BENCH_MODEL") {
        Some(path) => vec![path.into()],
        None => ["f16", "q4_k_m"]
            .iter()
            .map(|t| {
                PathBuf::from(format!("{}/assets/models/shakespeare-{t}.gguf", env!("CARGO_MANIFEST_DIR")))
            })
            .filter(|p| p.exists())
            .collect(),
    }
}

fn tokens() -> impl Iterator<Item = u32> {
    (0..POSITIONS as u32).map(|i| 300 + i * 37 % 1000)
}

/// Takes values in as a reader would: one pass over each.
struct Sum(f32);

impl Tap for Sum {
    fn tensor(&mut self, _: Checkpoint, _: &str, _: &[u32], values: &[f32]) -> Result<(), EngineError> {
        self.0 += values.iter().sum::<f32>();
        Ok(())
    }
}

fn decode(c: &mut Criterion) {
    for path in models() {
        let mut group = c.benchmark_group(format!("decode/{}", path.file_stem().unwrap().to_string_lossy()));
        group.throughput(Throughput::Elements(POSITIONS as u64)).sample_size(20);
        let gguf = Arc::new(Gguf::open(&path).unwrap());
        for set in [CaptureSet::Off, CaptureSet::Layers, CaptureSet::All] {
            let graph = arch::graph(&gguf).unwrap();
            let options = CpuOptions { threads: THREADS, kv_f16: false };
            let mut engine = F32Engine::new(&gguf, graph, options).unwrap();
            engine.set_capture(set.clone());
            group.bench_function(format!("paritty cpu, taps {set}"), |b| {
                b.iter(|| {
                    engine.rewind(0).unwrap();
                    let mut tap = Sum(0.0);
                    for token in tokens() {
                        engine.step(token, &mut tap).unwrap();
                    }
                    tap.0
                });
            });
        }
        #[cfg(feature = "llama-cpp")]
        llama_cpp::decode(&mut group, &path);
        group.finish();
    }
}

#[cfg(feature = "llama-cpp")]
mod llama_cpp {
    use std::path::Path;
    use std::sync::Arc;

    use criterion::measurement::WallTime;
    use criterion::{BatchSize, BenchmarkGroup};
    use paritty::engine::run::{KvType, RecordSink, Run};
    use paritty::llama_cpp::sample::Sampling;
    use paritty::llama_cpp::{ContextSettings, LlamaRun, LoadSettings, Model, RunSettings};
    use paritty::model::{CaptureSet, Checkpoint};
    use paritty::trace::TraceError;

    use super::{POSITIONS, Sum, THREADS, tokens};

    impl RecordSink for Sum {
        fn record(
            &mut self,
            _: u32,
            _: Checkpoint,
            _: Option<&str>,
            _: &str,
            _: &[u32],
            values: &[f32],
        ) -> Result<(), TraceError> {
            self.0 += values.iter().sum::<f32>();
            Ok(())
        }
    }

    pub fn decode(group: &mut BenchmarkGroup<'_, WallTime>, path: &Path) {
        let load = LoadSettings { gpu_layers: 0, repack: true };
        let model = Arc::new(Model::load(path, load).unwrap());
        for set in [CaptureSet::Off, CaptureSet::Layers, CaptureSet::All] {
            let start = || {
                let settings = RunSettings {
                    load,
                    context: ContextSettings {
                        positions: POSITIONS,
                        columns: 1,
                        threads: THREADS,
                        flash_attn: false,
                        kv: KvType::F16,
                        tapped: true,
                    },
                    sampling: Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 1 },
                    capture: set.clone(),
                };
                LlamaRun::new(Arc::clone(&model), settings, Arc::default()).unwrap()
            };
            group.bench_function(format!("llama.cpp cpu, cb_eval {set}"), |b| {
                b.iter_batched_ref(
                    start,
                    |run| {
                        let mut sum = Sum(0.0);
                        for token in tokens() {
                            run.feed(&[token], &mut sum).unwrap();
                        }
                        sum.0
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
