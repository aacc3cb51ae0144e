//! How fast a trace is indexed and its values are read, against `serde_json` over the same lines.
//!
//! `cargo bench --bench trace_read` measures both sides in one run and ends with their ratios. The
//! files are made here: 32 positions of 12 layers, as `paritty trace` writes them.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a bench talks and may stop at once")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use paritty::model::{Checkpoint, Site};
use paritty::trace::{Header, Store, Tensor, Token, TraceWriter};
use serde_json::Value;

const POSITIONS: u32 = 32;
const LAYERS: usize = 12;
const WIDTH: usize = 256;
const VOCABULARY: usize = 32_000;
const SITES: [Site; 10] = [
    Site::AttnNorm,
    Site::Qcur,
    Site::QcurRope,
    Site::Vcur,
    Site::Kcur,
    Site::KcurRope,
    Site::KqvOut,
    Site::FfnInp,
    Site::FfnOut,
    Site::LOut,
];

/// Values between −12 and 12 with full mantissas.
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state as i32 as f32) / (i32::MAX as f32) * 12.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn write(mut writer: TraceWriter) {
    for position in 0..POSITIONS {
        let piece = Some(format!(" word{position}"));
        writer.token(position, &Token { id: position, piece, from_prompt: true, columns: Some(1) }).unwrap();
        for layer in 0..LAYERS {
            for (n, site) in SITES.into_iter().enumerate() {
                let values = values(WIDTH, position * 1000 + (layer * 32 + n) as u32);
                let checkpoint = Checkpoint::layer(site, layer);
                writer.tensor(position, checkpoint, None, "MUL_MAT", &[WIDTH as u32], &values).unwrap();
            }
        }
        let logits = values(VOCABULARY, position);
        writer.tensor(position, Checkpoint::LOGITS, None, "MUL_MAT", &[VOCABULARY as u32], &logits).unwrap();
        writer.complete(position).unwrap();
    }
    writer.end().unwrap();
}

fn index(path: &Path) -> usize {
    Store::load(path).unwrap().positions().count()
}

fn parse_with_serde(path: &Path) -> usize {
    let text = fs::read(path).unwrap();
    let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()).filter(Value::is_object).count()
}

fn read_logits(store: &Store, into: &mut Tensor) -> f32 {
    let mut sum = 0.0;
    for position in 0..POSITIONS {
        assert!(store.read(position, Checkpoint::LOGITS, into).unwrap());
        sum += into.values[position as usize];
    }
    sum
}

/// The logits again, by serde_json straight into f32 (no tree), from lines already in memory.
fn read_logits_with_serde(lines: &[Vec<u8>]) -> f32 {
    #[derive(serde::Deserialize)]
    struct Row {
        values: Vec<f32>,
    }
    lines.iter().map(|line| serde_json::from_slice::<Row>(line).unwrap().values[0]).sum()
}

/// The shorter half of the times is what the machine can do; its middle is reported.
fn time<T>(mut job: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..12)
        .map(|_| {
            let start = Instant::now();
            black_box(job());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[3]
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let header = Header { team: "bench".to_owned(), ..Header::default() };
    let text = folder.path().join("text.jsonl");
    write(TraceWriter::create_text(&text, &header, None).unwrap());
    let sidecar = folder.path().join("sidecar.jsonl");
    write(TraceWriter::create(&sidecar, &header).unwrap());
    let size = |path: &PathBuf| fs::metadata(path).unwrap().len();

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for (name, path) in [("index text", &text), ("index sidecar", &sidecar)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(size(path)));
        group.bench_function("paritty", |b| b.iter(|| black_box(index(path))));
        group.bench_function("serde_json::Value", |b| b.iter(|| black_box(parse_with_serde(path))));
        group.finish();
    }

    let stores = [Store::load(&text).unwrap(), Store::load(&sidecar).unwrap()];
    let rows: Vec<Vec<u8>> = fs::read(&text)
        .unwrap()
        .split(|b| *b == b'\n')
        .filter(|line| line.starts_with(b"{\"checkpoint\":\"result_output\""))
        .map(<[u8]>::to_vec)
        .collect();
    let mut tensor = Tensor::default();
    let mut group = criterion.benchmark_group("read logits");
    group.throughput(Throughput::Elements((POSITIONS as usize * VOCABULARY) as u64));
    group.bench_function("paritty, text", |b| b.iter(|| black_box(read_logits(&stores[0], &mut tensor))));
    group.bench_function("serde_json to Vec<f32>", |b| b.iter(|| black_box(read_logits_with_serde(&rows))));
    group.bench_function("paritty, sidecar", |b| b.iter(|| black_box(read_logits(&stores[1], &mut tensor))));
    group.finish();
    criterion.final_summary();

    // Not when `cargo test` only tries whether this runs, nor under a profiler.
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    if !asked("--bench") || asked("--profile-time") {
        return;
    }
    eprintln!("\nratios, lower quartile of 12 runs each:");
    for (name, path) in [("text", &text), ("sidecar", &sidecar)] {
        let ours = time(|| index(path));
        let theirs = time(|| parse_with_serde(path));
        let rate = size(path) as f64 / ours.as_secs_f64() / 1e6;
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        eprintln!("  index {name:8} {rate:8.0} MB/s, {ratio:6.1} × serde_json::Value");
    }
    let [ours, raw] = stores.each_ref().map(|store| time(|| read_logits(store, &mut tensor)));
    let theirs = time(|| read_logits_with_serde(&rows));
    let count = f64::from(POSITIONS) * VOCABULARY as f64;
    let millions = |time: Duration| count / time.as_secs_f64() / 1e6;
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    eprintln!("  read text    {:8.0} million values/s, {ratio:6.1} × serde_json to Vec<f32>", millions(ours));
    eprintln!("  read sidecar {:8.0} million values/s", millions(raw));
}
