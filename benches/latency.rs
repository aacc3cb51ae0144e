//! How long the screen takes to answer a key while a trace grows by 200 MB a second: the program itself in a
//! pseudo terminal of 200×60, with every key timed until the terminal shows what it does.
//!
//! `cargo bench --bench latency`. Two kinds of trace of 80 layers: rows of four values, where the trace is
//! nearly all text and the cells are what costs, and rows of 1,024 values, as engines write them. Then what
//! the program costs when nothing happens. Traces are written to a temporary folder (`TMPDIR`), 3 GB at most.

#![allow(clippy::print_stdout, reason = "a bench talks")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::pty::Pty;
use common::traces::{grow, keep_pace, write};
use common::{Process, Sample, in_words};

const PROGRAM: &str = env!("CARGO_BIN_EXE_paritty");
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/shakespeare-f16.gguf");
/// Keys pressed.
const KEYS: usize = 150;
/// Between two keys.
const PAUSE: Duration = Duration::from_millis(25);
/// Positions that the cursor goes to and fro.
const AMONG: usize = 6;

fn inspect(reference: &Path, candidate: &Path) -> Pty {
    let [reference, candidate] = [reference, candidate].map(|path| path.to_string_lossy().into_owned());
    Pty::start(PROGRAM, &["inspect", MODEL, "--reference", &reference, "--candidate", &candidate])
}

/// Presses arrows while `goes_on`: until the cursor is seen to have moved, and until the values under it are
/// there.
fn press(pty: &mut Pty, keys: usize, goes_on: impl Fn() -> bool) -> [Sample<Duration>; 2] {
    let mut times = [Sample::default(), Sample::default()];
    pty.wait("the first positions", |text| text.contains("position "));
    pty.keys("g");
    pty.wait("the first position", |text| text.contains("position 0 ·"));
    let to_and_fro = (0..AMONG).map(|n| (n + 1, "\x1b[C")).chain((0..AMONG).rev().map(|n| (n, "\x1b[D")));
    for (n, (position, key)) in to_and_fro.collect::<Vec<_>>().into_iter().cycle().take(keys).enumerate() {
        let here = format!("position {position} ·");
        let begun = Instant::now();
        pty.keys(key);
        pty.wait(&here, |text| text.contains(&here));
        times[0].add(begun.elapsed());
        pty.wait("the values", |text| text.contains(&here) && !text.contains("reading …"));
        times[1].add(begun.elapsed());
        thread::sleep(PAUSE);
        if n >= 100 && !goes_on() {
            break;
        }
    }
    times
}

fn report(what: &str, [frame, values]: &[Sample<Duration>; 2]) {
    println!("{what}, {} keys:", frame.len());
    println!("  until the frame that shows it: {}", in_words(frame));
    println!("  until the values are there:    {}", in_words(values));
}

/// The trace is nearly all text.
fn narrow(folder: &Path, positions: u32) {
    let [reference, candidate, growing] =
        ["reference.jsonl", "candidate.jsonl", "growing.jsonl"].map(|name| folder.join(name));
    write(&reference, (positions, 4), 0.0, |_| {});
    write(&candidate, (positions, 4), 1e-3, |_| {});
    let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    thread::scope(|scope| {
        // Its header names the sidecar of the trace that it is a copy of.
        let writer = scope.spawn(|| {
            grow(&candidate, &growing, &written, &stop);
            begun.elapsed()
        });
        let mut pty = inspect(&reference, &growing);
        let times = press(&mut pty, KEYS, || !writer.is_finished());
        let pressed = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        let took = writer.join().expect("it grew");
        let rate = written.load(Ordering::Relaxed) as f64 / took.as_secs_f64() / 1e6;
        report(
            &format!("a trace of text growing by {rate:.0} MB/s for {took:.1?}, keys for {pressed:.1?}"),
            &times,
        );
    });
}

/// Rows as wide as engines write them: nearly all bytes are values.
fn wide(folder: &Path, positions: u32) {
    const WIDTH: usize = 1024;
    let [reference, growing] = ["wide.jsonl", "wide-growing.jsonl"].map(|name| folder.join(name));
    write(&reference, (positions, WIDTH), 0.0, |_| {});
    let begun = Instant::now();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut all = 0;
            write(&growing, (positions, WIDTH), 1e-3, |bytes| {
                all += bytes;
                keep_pace(begun, all);
            });
            (all, begun.elapsed())
        });
        let mut pty = inspect(&reference, &growing);
        let times = press(&mut pty, KEYS, || !writer.is_finished());
        let pressed = begun.elapsed();
        let (bytes, took) = writer.join().expect("it grew");
        let rate = bytes as f64 / took.as_secs_f64() / 1e6;
        report(
            &format!("a trace of values growing by {rate:.0} MB/s for {took:.1?}, keys for {pressed:.1?}"),
            &times,
        );
    });
}

/// Everything is read and nothing happens.
fn idle(folder: &Path) {
    let [reference, candidate] = ["idle.jsonl", "idle-candidate.jsonl"].map(|name| folder.join(name));
    write(&reference, (64, 4), 0.0, |_| {});
    write(&candidate, (64, 4), 1e-3, |_| {});
    let mut pty = inspect(&reference, &candidate);
    pty.wait("the end", |text| text.contains("ended 64/64") || text.matches("ended 64").count() == 2);
    thread::sleep(Duration::from_secs(1));
    report("two finished traces", &press(&mut pty, 100, || false));
    thread::sleep(Duration::from_secs(3));
    let process = Process(pty.pid());
    let (busy, woken) = (process.processor(), process.wakeups());
    thread::sleep(Duration::from_secs(5));
    let (busy, woken) = (process.processor().saturating_sub(busy), process.wakeups() - woken);
    println!("idle for 5 s: processor {busy:.2?}, {woken} wakeups");
}

fn main() {
    if !common::asked() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    println!("{}", common::machine());
    idle(folder.path());
    narrow(folder.path(), common::from_environment("PARITTY_BENCH_POSITIONS", 4096));
    wide(folder.path(), 192);
}
