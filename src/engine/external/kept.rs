//! The last lines that a child process wrote on its standard error: what is shown when it fails.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are kept.
const LINES: usize = 8;
/// Bytes that are read of one line; the rest of it is read over.
const LINE: u64 = 1 << 16;
/// Characters that are kept of one line.
const CHARACTERS: usize = 200;
/// How long the last lines may take to arrive.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// The last lines of a stream, made safe to show.
#[derive(Clone, Debug, Default)]
pub struct LastLines {
    lines: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl LastLines {
    /// Reads `stream` on a thread of its own until it ends, then calls `ended`.
    pub fn follow(
        stream: impl Read + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let lines = Self::default();
        let kept = lines.clone();
        std::thread::Builder::new().name("child-stderr".into()).spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            loop {
                line.clear();
                match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => kept.push(String::from_utf8_lossy(&line).trim_end()),
                }
            }
            kept.ended.store(true, Ordering::Release);
            ended();
        })?;
        Ok(lines)
    }

    fn push(&self, line: &str) {
        if line.is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.remove(0);
        }
        lines.push(crate::text::safe_short(line, CHARACTERS));
    }

    /// The lines of a process that has ended, in one. What it said last may be in the pipe still and
    /// is waited for, but not for long: somebody it started may hold the pipe open.
    pub fn at_end(&self) -> String {
        let deadline = Instant::now() + LAST_BREATH;
        while !self.ended.load(Ordering::Acquire) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.joined()
    }

    /// The lines so far in one; empty if there are none.
    pub fn joined(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join(" · ")
    }
}
