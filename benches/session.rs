//! What a session of a long run of a deep model costs: memory, taking it in, answering while a trace
//! grows, and being idle.
//!
//! `cargo bench --bench session` makes two traces of 80 layers with 18 checkpoints each and 512 positions of
//! four values; `PARITTY_BENCH_POSITIONS=4096` makes them as long as a whole context (2.2 GB of text, 5.9
//! million cells). Small values make the cells what costs, not reading them.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks and may stop at once")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::traces::{LAYERS, SITES, grow, write};
use common::{Process, Sample, in_words, processor_of_thread};
use paritty::compare::Comparison;
use paritty::model::Checkpoint;
use paritty::session::{Command, Config, Session, Snapshot, Source, SourceState, Wanted};
use paritty::trace::Store;

/// Values of a row.
const WIDTH: usize = 4;
const QUESTIONS: usize = 200;

fn config(reference: PathBuf, candidate: PathBuf) -> Config {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf");
    Config::new(model, Source::Trace(reference), Source::Trace(candidate))
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

/// Moves the cursor and waits for the answer, again and again.
fn questions(session: &Session, known: u32, until: impl Fn(usize) -> bool) -> Sample<Duration> {
    let commands = session.link().commands;
    let mut times = Sample::default();
    while until(times.len()) {
        let n = times.len();
        let checkpoint = Checkpoint::layer(SITES[n % SITES.len()], n % LAYERS);
        let wanted = Wanted::cell((n as u32 * 37) % known, checkpoint);
        let begun = Instant::now();
        commands.blocking_send(Command::Focus(wanted)).unwrap();
        wait(session, |s| s.focus.as_ref().is_some_and(|f| f.wanted == wanted));
        times.add(begun.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    times
}

/// What looking at all positions together costs, in processor time: on the session's thread, and on one of its
/// own between.
fn settling(reference: &Path, candidate: &Path) {
    let [a, b] = [reference, candidate].map(|path| Store::load(path).unwrap());
    let positions: Vec<u32> = a.positions().collect();
    let mut comparison = Comparison::new();
    let compared = timed(|| comparison.take_in(&a, &b, &positions)).1;
    let (settling, prepared) = timed(|| comparison.settling(&a, &b).unwrap());
    let (found, ran) = timed(|| settling.run());
    let after = timed(|| comparison.settled(found)).1;
    println!(
        "all positions judged together: {ran:.2?} on a thread of its own; before {prepared:.2?}, after {after:.2?} on the session's"
    );
    println!("all positions compared: {compared:.2?}");
}

/// What a job gives, and the processor time that it took.
fn timed<T>(job: impl FnOnce() -> T) -> (T, Duration) {
    let begun = processor_of_thread();
    let made = job();
    (made, processor_of_thread().saturating_sub(begun))
}

fn main() {
    if !common::asked() {
        return;
    }
    let positions = common::from_environment("PARITTY_BENCH_POSITIONS", 512);
    println!("{}", common::machine());
    let folder = tempfile::tempdir().unwrap();
    let [reference, candidate] = ["reference.jsonl", "candidate.jsonl"].map(|name| folder.path().join(name));
    write(&reference, (positions, WIDTH), 0.0, |_| {});
    write(&candidate, (positions, WIDTH), 1e-3, |_| {});
    let text: u64 = [&reference, &candidate].iter().map(|p| fs::metadata(p).unwrap().len()).sum();

    let this = Process::this();
    let (before, begun, busy) = (this.memory("VmRSS:"), Instant::now(), this.processor());
    let session = Session::start(&config(reference.clone(), candidate.clone())).unwrap();
    let over = |s: &Snapshot| {
        let ended = [&s.reference, &s.candidate].iter().all(|side| side.state == SourceState::Ended);
        ended && s.settled
    };
    let last = wait(&session, over);
    let (took, busy) = (begun.elapsed(), this.processor().saturating_sub(busy));
    assert!(last.columns.len() == positions as usize && last.columns.iter().all(|c| c.complete));
    let cells: usize = last.columns.iter().map(|c| c.cells.len()).sum();
    drop(last);
    let [used, peak] = ["VmRSS:", "VmHWM:"].map(|name| this.memory(name).saturating_sub(before));
    println!("{LAYERS} layers × {positions} positions: {cells} cells, {} MB of text", text >> 20);
    println!(
        "taken in in {took:.2?} ({:.0} MB/s; processor {busy:.2?})",
        (text >> 20) as f64 / took.as_secs_f64()
    );
    println!("memory {} MB, peak {} MB: {} bytes a cell", used >> 20, peak >> 20, used / cells as u64);
    let times = questions(&session, positions, |n| n < QUESTIONS);
    println!("a cell's values asked for: {}", in_words(&times));

    std::thread::sleep(Duration::from_secs(1));
    let (busy, woken) = (this.processor(), this.wakeups());
    std::thread::sleep(Duration::from_secs(5));
    // One of them is this thread's own.
    let (busy, woken) = (this.processor().saturating_sub(busy), (this.wakeups() - woken).saturating_sub(1));
    println!("idle for 5 s: processor {busy:.0?}, {woken} wakeups");
    drop(session);
    settling(&reference, &candidate);

    // Its header names the sidecar of the trace that it is a copy of.
    let growing = folder.path().join("growing.jsonl");
    let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let session = Session::start(&config(reference.clone(), growing.clone())).unwrap();
        let begun = Instant::now();
        let writer = scope.spawn(|| grow(&candidate, &growing, &written, &stop));
        wait(&session, |s| s.candidate.positions >= 8);
        let times = questions(&session, 8, |n| n == 0 || !writer.is_finished());
        let rate = (written.load(Ordering::Relaxed) >> 20) as f64 / begun.elapsed().as_secs_f64();
        println!("asked for while a trace grows by {rate:.0} MB/s: {}", in_words(&times));
        wait(&session, |s| s.candidate.positions == positions);
        println!("{:.2?} after the first byte everything of it was taken in", begun.elapsed());
        stop.store(true, Ordering::Relaxed);
    });
}
