//! What a session of a long run of a deep model costs: memory, taking it in, answering while a trace
//! grows, and being idle.
//!
//! `cargo bench --bench session` makes two traces of 80 layers with 18 checkpoints each and 512 positions of
//! four values; `PARITTY_BENCH_POSITIONS=4096` makes them as long as a whole context (2.2 GB of text, 5.9
//! million cells). Small values make the cells what costs, not reading them.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks and may stop at once")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paritty::engine::cpu::CpuOptions;
use paritty::fault::Injections;
use paritty::model::{CaptureSet, Checkpoint, Site};
use paritty::session::{Command, Config, Session, Snapshot, Source, SourceState, Tokens, Wanted};
use paritty::trace::{Header, ModelInfo, Token, TraceWriter};

const LAYERS: usize = 80;
const WIDTH: usize = 4;
/// Scores are left out: their size grows with the position.
const SITES: [Site; 18] = [
    Site::AttnNorm,
    Site::QcurMm,
    Site::Qcur,
    Site::KcurMm,
    Site::Kcur,
    Site::VcurMm,
    Site::Vcur,
    Site::QcurRope,
    Site::KcurRope,
    Site::KqvOut,
    Site::AttnOut,
    Site::FfnInp,
    Site::FfnNorm,
    Site::FfnGate,
    Site::FfnUp,
    Site::FfnSwiglu,
    Site::FfnOut,
    Site::LOut,
];
/// Bytes a second at which the growing trace is written.
const PACE: u64 = 200 << 20;
const QUESTIONS: usize = 200;

struct Noise(u32);

impl Noise {
    /// Between −1 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 as i32 as f32) / (i32::MAX as f32)
    }
}

/// A run whose values are those of every other run but for `difference` of their size.
fn write(path: &Path, positions: u32, difference: f32) {
    let model = ModelInfo {
        name: "bench".into(),
        arch: "llama".into(),
        n_layer: LAYERS as u32,
        weights: Some("Q4_K_M".into()),
        ..ModelInfo::default()
    };
    let header = Header { team: "bench".into(), backend: "CPU".into(), model, ..Header::default() };
    let mut writer = TraceWriter::create(path, &header).unwrap();
    let (mut common, mut own) = (Noise(1), Noise(2));
    let mut values = [0.0; WIDTH];
    for position in 0..positions {
        let piece = Some(format!(" word{position}"));
        let token = Token { id: position, piece, from_prompt: true, columns: Some(1) };
        writer.token(position, &token).unwrap();
        let layers = (0..LAYERS).flat_map(|layer| SITES.map(|site| Checkpoint::layer(site, layer)));
        let ends = [Checkpoint::global(Site::ResultNorm), Checkpoint::LOGITS];
        for checkpoint in [Checkpoint::global(Site::Embd)].into_iter().chain(layers).chain(ends) {
            for value in &mut values {
                let x = common.next();
                // A row of a table is the same on both sides.
                let scale = if checkpoint.site() == Site::Embd { 0.0 } else { difference };
                *value = x + scale * x * own.next();
            }
            writer.tensor(position, checkpoint, None, "MUL_MAT", &[WIDTH as u32], &values).unwrap();
        }
        writer.complete(position).unwrap();
    }
    writer.end().unwrap();
}

fn config(reference: PathBuf, candidate: PathBuf) -> Config {
    Config {
        model: Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf"),
        reference: Source::Trace(reference),
        candidate: Source::Trace(candidate),
        tokens: Tokens::FromTrace,
        generate: 0,
        context: None,
        patience: Duration::from_mins(1),
        capture: CaptureSet::All,
        cpu: CpuOptions::default(),
        faults: Injections::default(),
        replay: None,
        running: true,
    }
}

fn wait(session: &Session, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut link = session.link();
    loop {
        let snapshot = Arc::clone(&link.snapshots.borrow_and_update());
        if what(&snapshot) {
            return snapshot;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Moves the cursor and waits for the answer, again and again: median, 99th percentile, longest.
fn questions(session: &Session, known: u32, until: impl Fn(usize) -> bool) -> [Duration; 3] {
    let commands = session.link().commands;
    let mut times = Vec::new();
    while until(times.len()) {
        let n = times.len();
        let checkpoint = Checkpoint::layer(SITES[n % SITES.len()], n % LAYERS);
        let wanted = Wanted::cell((n as u32 * 37) % known, checkpoint);
        let begun = Instant::now();
        commands.blocking_send(Command::Focus(wanted)).unwrap();
        wait(session, |s| s.focus.as_ref().is_some_and(|f| f.wanted == wanted));
        times.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    [at(0.5), at(0.99), at(1.0)]
}

/// A line of `/proc/self/status` in bytes.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().unwrap_or(0) << 10
}

/// Processor time of this process so far.
fn processor() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat.split_whitespace().skip(13).take(2).filter_map(|f| f.parse().ok()).collect();
    // Clock ticks: a hundredth of a second each on every Linux.
    Duration::from_millis(10 * fields.iter().sum::<u64>())
}

/// Copies `from` to `to` at the pace, whole lines or not.
fn grow(from: &Path, to: &Path, written: &AtomicU64, stop: &AtomicBool) {
    let (mut from, mut to) = (File::open(from).unwrap(), File::create(to).unwrap());
    let mut buffer = vec![0; 1 << 20];
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let n = from.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        to.write_all(&buffer[..n]).unwrap();
        let all = written.fetch_add(n as u64, Ordering::Relaxed) + n as u64;
        let due = Duration::from_secs_f64(all as f64 / PACE as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

fn main() {
    let positions: u32 =
        std::env::var("PARITTY_BENCH_POSITIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(512);
    let folder = tempfile::tempdir().unwrap();
    let [reference, candidate] = ["reference.jsonl", "candidate.jsonl"].map(|name| folder.path().join(name));
    write(&reference, positions, 0.0);
    write(&candidate, positions, 1e-3);
    let text: u64 = [&reference, &candidate].iter().map(|p| fs::metadata(p).unwrap().len()).sum();

    let (before, begun, busy) = (memory("VmRSS:"), Instant::now(), processor());
    let session = Session::start(&config(reference.clone(), candidate.clone())).unwrap();
    let over = |s: &Snapshot| {
        [&s.reference, &s.candidate].iter().all(|side| side.state == SourceState::Ended)
            && s.columns.len() == positions as usize
            && s.columns.iter().all(|c| c.complete)
    };
    let last = wait(&session, over);
    let (took, busy) = (begun.elapsed(), processor().saturating_sub(busy));
    let cells: usize = last.columns.iter().map(|c| c.cells.len()).sum();
    drop(last);
    let [used, peak] = ["VmRSS:", "VmHWM:"].map(|name| memory(name).saturating_sub(before));
    println!("{LAYERS} layers × {positions} positions: {cells} cells, {} MB of text", text >> 20);
    println!(
        "taken in in {took:.2?} ({:.0} MB/s; processor {busy:.2?})",
        (text >> 20) as f64 / took.as_secs_f64()
    );
    println!("memory {} MB, peak {} MB: {} bytes a cell", used >> 20, peak >> 20, used / cells as u64);

    let [median, late, longest] = questions(&session, positions, |n| n < QUESTIONS);
    println!(
        "a cell's values asked for: median {median:.2?}, 99th percentile {late:.2?}, longest {longest:.2?}"
    );

    let busy = processor();
    std::thread::sleep(Duration::from_secs(5));
    println!("idle for 5 s: processor {:.0?}", processor().saturating_sub(busy));
    drop(session);

    // Its header names the sidecar of the trace that it is a copy of.
    let growing = folder.path().join("growing.jsonl");
    let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let session = Session::start(&config(reference.clone(), growing.clone())).unwrap();
        let begun = Instant::now();
        let writer = scope.spawn(|| grow(&candidate, &growing, &written, &stop));
        wait(&session, |s| s.candidate.positions >= 8);
        let [median, late, longest] = questions(&session, 8, |n| n == 0 || !writer.is_finished());
        let rate = (written.load(Ordering::Relaxed) >> 20) as f64 / begun.elapsed().as_secs_f64();
        println!(
            "asked for while a trace grows by {rate:.0} MB/s: median {median:.2?}, 99th percentile {late:.2?}, longest {longest:.2?}"
        );
        wait(&session, |s| s.candidate.positions == positions);
        println!("{:.2?} after the first byte everything of it was taken in", begun.elapsed());
        stop.store(true, Ordering::Relaxed);
    });
}
