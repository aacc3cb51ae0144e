//! How fast a trace is analysed and two are compared, in bytes of input per second, against copying
//! memory and against `serde_json::Value` over the same lines, in one run.
//!
//! `cargo bench --bench analyze`. The files are made here: 64 positions of 12 layers and 32,000 logits
//! as a sidecar, as text with every digit, and 100,000 rows of ten values with six decimals.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a bench talks and may stop at once")]

use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use paritty::analyze::{Analyzer, Options};
use paritty::compare::Comparison;
use paritty::model::{Checkpoint, Site};
use paritty::trace::{Header, Store, Token, TraceWriter};
use serde_json::Value;

const POSITIONS: u32 = 64;
const LAYERS: usize = 12;
const WIDTH: usize = 1024;
const VOCABULARY: usize = 32_000;
const ROWS: u32 = 100_000;

/// Values around zero with full mantissas.
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
        writer.token(position, &Token { id: position, ..Token::default() }).unwrap();
        for layer in 0..LAYERS {
            for (n, site) in [Site::AttnNorm, Site::Qcur, Site::KqvOut, Site::LOut].into_iter().enumerate() {
                let row = values(WIDTH, position * 1000 + (layer * 32 + n) as u32);
                writer
                    .tensor(position, Checkpoint::layer(site, layer), None, "X", &[WIDTH as u32], &row)
                    .unwrap();
            }
        }
        let row = values(VOCABULARY, position);
        writer.tensor(position, Checkpoint::LOGITS, None, "X", &[VOCABULARY as u32], &row).unwrap();
        writer.complete(position).unwrap();
    }
    writer.end().unwrap();
}

fn write_rows(path: &Path) {
    let mut out = std::io::BufWriter::new(fs::File::create(path).unwrap());
    for position in 0..ROWS {
        let row: Vec<String> = values(10, position).iter().map(|x| format!("{x:.6}")).collect();
        writeln!(
            out,
            "{{\"team\":\"cpp\",\"checkpoint\":\"logits\",\"token_idx\":{position},\"dtype\":\"f32\",\"shape\":\"[151936]\",\"values\":[{}]}}",
            row.join(",")
        )
        .unwrap();
    }
}

fn analyze(path: &Path, stats: bool) -> u64 {
    Analyzer::new(Options { stats }).run(path, &mut [], &mut |_, _| true).unwrap().values
}

fn compare(a: &Path, b: &Path) -> usize {
    let (a, b) = (Store::load(a).unwrap(), Store::load(b).unwrap());
    let mut comparison = Comparison::new();
    comparison.update(&a, &b, &a.positions().collect::<Vec<_>>());
    comparison.conclude(&a, &b);
    comparison.columns().len()
}

fn with_serde(path: &Path) -> usize {
    let text = fs::read(path).unwrap();
    let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()).filter(Value::is_object).count()
}

/// The lower quartile of some runs is what the machine can do.
fn time<T>(mut job: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let start = Instant::now();
            black_box(job());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[1]
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let header = Header { team: "bench".to_owned(), ..Header::default() };
    let (text, text2) = (file("text.jsonl"), file("text2.jsonl"));
    let (sidecar, sidecar2) = (file("sidecar.jsonl"), file("sidecar2.jsonl"));
    for path in [&text, &text2] {
        write(TraceWriter::create_text(path, &header, None).unwrap());
    }
    for path in [&sidecar, &sidecar2] {
        write(TraceWriter::create(path, &header).unwrap());
    }
    let rows = file("rows.jsonl");
    write_rows(&rows);
    let size = |path: &PathBuf| {
        let bytes = |p: &Path| fs::metadata(p).map_or(0, |m| m.len());
        bytes(path) + bytes(&path.with_extension("bin"))
    };

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for (name, path) in [("text", &text), ("sidecar", &sidecar), ("rows of ten", &rows)] {
        let mut group = criterion.benchmark_group(format!("analyze {name}"));
        group.throughput(Throughput::Bytes(size(path)));
        group.bench_function("garbage", |b| b.iter(|| black_box(analyze(path, false))));
        group.bench_function("garbage and statistics", |b| b.iter(|| black_box(analyze(path, true))));
        group.finish();
    }
    for (name, a, b) in [("text", &text, &text2), ("sidecar", &sidecar, &sidecar2)] {
        let mut group = criterion.benchmark_group(format!("compare {name}"));
        group.throughput(Throughput::Bytes(size(a) + size(b)));
        group.bench_function("all", |bench| bench.iter(|| black_box(compare(a, b))));
        group.finish();
    }
    criterion.final_summary();

    // Not when `cargo test` only tries whether this runs, nor under a profiler.
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    if !asked("--bench") || asked("--profile-time") {
        return;
    }
    let rate = |bytes: u64, time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    let from = vec![1_u8; 256 << 20];
    let mut to = vec![0_u8; 256 << 20];
    let copy = time(|| {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    });
    eprintln!("\nGB of input per second, lower quartile of 7 runs each:");
    eprintln!("  copying memory          {:7.2} (bytes copied)", rate(256 << 20, copy));
    for (name, path) in [("text", &text), ("sidecar", &sidecar), ("rows of ten", &rows)] {
        let (plain, stats) = (time(|| analyze(path, false)), time(|| analyze(path, true)));
        eprintln!(
            "  analyze {name:12}    {:7.2}, with --stats {:.2}",
            rate(size(path), plain),
            rate(size(path), stats)
        );
        if path != &sidecar {
            let serde = time(|| with_serde(path));
            let ratio = serde.as_secs_f64() / plain.as_secs_f64();
            eprintln!("  serde_json::Value       {:7.2} ({ratio:.1} times as long)", rate(size(path), serde));
        }
    }
    for (name, a, b) in [("text", &text, &text2), ("sidecar", &sidecar, &sidecar2)] {
        eprintln!("  compare {name:12}    {:7.2}", rate(size(a) + size(b), time(|| compare(a, b))));
    }
}
