//! Replaying a trace into a growing file, so that what reads it is the live path.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How soon the end of a trace that has no last line is looked at again.
const WAIT: Duration = Duration::from_millis(50);
/// Longest pause after a position: what is slower is a replay that stands still.
const LONGEST: Duration = Duration::from_hours(1);

/// How a replay is paced.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Pause after each position.
    pub per_position: Duration,
    /// Positions a second at most.
    pub speed: Option<f32>,
}

impl Pace {
    fn pause(self) -> Duration {
        let longest = LONGEST.as_secs_f64();
        let limit = self.speed.map_or(0.0, |speed| (1.0 / f64::from(speed)).clamp(0.0, longest));
        self.per_position.max(Duration::try_from_secs_f64(limit).unwrap_or_default()).min(LONGEST)
    }
}

/// A thread that replays. Dropping it stops the replay.
#[derive(Debug)]
pub struct Replay {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Orders {
    stop: AtomicBool,
    pace: Mutex<Pace>,
}

impl Orders {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps between two positions, as long as the pace of the moment asks.
    fn pause(&self) {
        let begun = Instant::now();
        while !self.stopped() {
            let left = self.pace().pause().saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    offset: Option<u64>,
    bytes: Option<u64>,
    complete: bool,
    end: bool,
}

impl Replay {
    /// Copies the trace at `from` (and its sidecar, which has the same stem) into `folder`, position
    /// by position, and goes on while it grows. Returns the path of the growing trace.
    pub fn start(from: &Path, folder: &Path, pace: Pace) -> io::Result<(Self, PathBuf)> {
        let name = from.file_name().ok_or_else(|| io::Error::other("the trace has no file name"))?;
        let to = folder.join(name);
        let lines = BufReader::new(File::open(from)?);
        let sidecar = Sidecar { from: from.with_extension("bin"), to: to.with_extension("bin"), open: None };
        let out = File::create(&to)?;
        let orders = Arc::new(Orders { stop: AtomicBool::new(false), pace: Mutex::new(pace) });
        let thread = std::thread::Builder::new().name("replay".into()).spawn({
            let orders = Arc::clone(&orders);
            // A replay that cannot go on looks to the reader like a writer that died: it is shown as stalled.
            move || drop(copy(lines, sidecar, out, &orders))
        })?;
        Ok((Self { orders, thread: Some(thread) }, to))
    }

    /// Positions a second at most, from now on.
    pub fn limit(&self, speed: Option<f32>) {
        self.orders.pace.lock().unwrap_or_else(PoisonError::into_inner).speed = speed;
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The bytes beside a trace, copied as far as its lines have named them.
struct Sidecar {
    from: PathBuf,
    to: PathBuf,
    /// Both files, and how much was copied.
    open: Option<(File, File, u64)>,
}

impl Sidecar {
    fn copy_to(&mut self, end: u64) -> io::Result<()> {
        // A run that writes no sidecar has none, and one that has begun may not have it yet.
        if self.open.is_none() && self.from.exists() {
            self.open = Some((File::open(&self.from)?, File::create(&self.to)?, 0));
        }
        let Some((from, to, copied)) = &mut self.open else { return Ok(()) };
        if end > *copied {
            *copied += io::copy(&mut from.take(end - *copied), to)?;
        }
        Ok(())
    }
}

fn copy(mut lines: impl BufRead, mut sidecar: Sidecar, mut out: File, orders: &Orders) -> io::Result<()> {
    let mut text = Vec::new();
    while !orders.stopped() {
        if lines.read_until(b'\n', &mut text)? == 0 {
            std::thread::park_timeout(WAIT);
            continue;
        }
        if !text.ends_with(b"\n") {
            // The rest of the line is still to come.
            continue;
        }
        // Lines that are no records are copied as they are.
        let line: Line = serde_json::from_slice(&text).unwrap_or_default();
        if let (Some(offset), Some(bytes)) = (line.offset, line.bytes) {
            sidecar.copy_to(offset.saturating_add(bytes))?;
        }
        out.write_all(&text)?;
        text.clear();
        if line.end {
            return Ok(());
        }
        if line.complete {
            orders.pause();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_the_slower_of_both() {
        let pace = |ms, speed| Pace { per_position: Duration::from_millis(ms), speed }.pause().as_millis();
        assert_eq!(pace(120, None), 120);
        assert_eq!(pace(120, Some(100.0)), 120);
        assert_eq!(pace(0, Some(4.0)), 250);
        assert_eq!(pace(0, Some(1e-30)), LONGEST.as_millis());
    }

    #[test]
    fn a_replay_goes_on_with_a_trace_that_grows_and_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("run.jsonl");
        let to = folder.path().join("to");
        std::fs::create_dir(&to).unwrap();
        let mut writer = File::create(&from).unwrap();
        writer.write_all(b"{\"token_idx\":0,\"complete\":true}\n\xff\xfe no text\n{\"check").unwrap();
        let pace = Pace { per_position: Duration::from_hours(1), speed: None };
        let (replay, path) = Replay::start(&from, &to, pace).unwrap();
        let seen = || std::fs::read(&path).unwrap_or_default();
        let wait = |what: &str, until: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !until() {
                assert!(begun.elapsed() < Duration::from_secs(30), "never came: {what}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        wait("the first position", &|| seen().ends_with(b"true}\n"));
        assert_eq!(seen(), b"{\"token_idx\":0,\"complete\":true}\n", "the pause holds the rest back");
        // The pause in hand is shortened at once.
        replay.orders.pace.lock().unwrap().per_position = Duration::ZERO;
        replay.limit(Some(1000.0));
        wait("what is no text", &|| seen().ends_with(b"no text\n"));
        std::fs::write(from.with_extension("bin"), [1, 2, 3, 4]).unwrap();
        writer.write_all(b"point\":\"x\",\"offset\":0,\"bytes\":4}\n{\"end\":true}\n").unwrap();
        wait("the end", &|| seen().ends_with(b"{\"end\":true}\n"));
        assert_eq!(std::fs::read(path.with_extension("bin")).unwrap(), [1, 2, 3, 4]);
    }
}
