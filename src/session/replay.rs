//! Replaying a recorded trace into a growing file, so that what reads it is the live path.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;

/// How a replay is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Pause after each position.
    pub per_position: Duration,
}

/// A thread that replays. Dropping it stops the replay.
#[derive(Debug)]
pub struct Replay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    offset: Option<u64>,
    #[serde(default)]
    bytes: Option<u64>,
    #[serde(default)]
    complete: bool,
}

impl Replay {
    /// Copies the trace at `from` (and its sidecar, which has the same stem) into `folder`, position
    /// by position. Returns the path of the growing trace.
    pub fn start(from: &Path, folder: &Path, pace: Pace) -> io::Result<(Self, PathBuf)> {
        let name = from.file_name().ok_or_else(|| io::Error::other("the trace has no file name"))?;
        let to = folder.join(name);
        let lines = BufReader::new(File::open(from)?);
        let sidecar = from.with_extension("bin");
        let sidecar = if sidecar.exists() {
            Some((File::open(&sidecar)?, File::create(to.with_extension("bin"))?))
        } else {
            None
        };
        let out = File::create(&to)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("replay".into()).spawn({
            let stop = Arc::clone(&stop);
            // A replay that cannot go on looks to the reader like a writer that died: it is shown as stalled.
            move || drop(copy(lines, sidecar, out, pace, &stop))
        })?;
        Ok((Self { stop, thread: Some(thread) }, to))
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn copy(
    mut lines: impl BufRead,
    mut sidecar: Option<(File, File)>,
    mut out: File,
    pace: Pace,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut text = String::new();
    let mut copied = 0;
    while !stop.load(Ordering::Relaxed) {
        text.clear();
        if lines.read_line(&mut text)? == 0 {
            return Ok(());
        }
        // Lines that are no records are copied as they are.
        let line: Line =
            serde_json::from_str(&text).unwrap_or(Line { offset: None, bytes: None, complete: false });
        if let (Some((from, to)), Some(offset), Some(bytes)) = (&mut sidecar, line.offset, line.bytes) {
            let end = offset.saturating_add(bytes);
            if end > copied {
                copied += io::copy(&mut from.take(end - copied), to)?;
            }
        }
        out.write_all(text.as_bytes())?;
        if line.complete {
            std::thread::park_timeout(pace.per_position);
        }
    }
    Ok(())
}
