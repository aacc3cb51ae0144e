//! A child process that is asked and answers in lines, and may crash, hang or flood at any time.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::LastLines;

/// Longest line that is taken in: a row of a large vocabulary as text takes some 4 MB.
const MAX_LINE: u64 = 64 << 20;
/// Lines that are read ahead of being asked for.
const AHEAD: usize = 64;
/// How often a wait looks whether anybody still waits.
const LOOK: Duration = Duration::from_millis(50);
/// How long a process that closed its output may take to end, so that its status can be told.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// The child. Dropping it kills it and all that it started.
pub(super) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    stderr: LastLines,
    patience: Duration,
    stop: Arc<AtomicBool>,
}

impl Process {
    /// Starts `command`, words in the shell's quoting.
    pub fn start(command: &str, patience: Duration, stop: Arc<AtomicBool>) -> Result<Self, String> {
        let words =
            shlex::split(command).ok_or_else(|| format!("cmd:{command}: a quotation mark is not closed"))?;
        let Some((program, arguments)) = words.split_first() else {
            return Err("cmd: names no program; expected cmd:PROGRAM ARGUMENTS".into());
        };
        let name = crate::text::safe_short(program, 60);
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in the terminal is not for it, and all of it can be ended.
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start `{name}`: {e}; give its path, or see that it is in PATH"))?;
        let threads = |e: std::io::Error| format!("cannot read from `{name}`: {e}");
        let stderr = match child.stderr.take() {
            Some(pipe) => LastLines::follow(pipe, || {}).map_err(threads)?,
            None => LastLines::default(),
        };
        let (sender, lines) = sync_channel(AHEAD);
        if let Some(output) = child.stdout.take() {
            let reader = std::thread::Builder::new().name("program-output".into());
            reader.spawn(move || read_lines(output, &sender)).map_err(threads)?;
        }
        let input = child.stdin.take();
        Ok(Self { name, child, input, lines, stderr, patience, stop })
    }

    /// Writes one line. `expected` is what it should answer, for the message if it cannot be told.
    pub fn write(&mut self, request: &impl Serialize, expected: &str) -> Result<(), String> {
        let mut line = serde_json::to_vec(request).map_err(|e| e.to_string())?;
        line.push(b'\n');
        let Some(input) = &mut self.input else { return Err(self.gone(expected)) };
        // Requests are far shorter than a pipe holds, so that this does not wait for the program.
        input.write_all(&line).and_then(|()| input.flush()).map_err(|_| self.gone(expected))
    }

    /// The next line of its output, without the newline.
    pub fn line(&mut self, expected: &str) -> Result<Vec<u8>, String> {
        let asked = Instant::now();
        loop {
            match self.lines.recv_timeout(LOOK) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone(expected)),
                Err(RecvTimeoutError::Timeout) if self.stop.load(Ordering::Relaxed) => {
                    return Err("stopped".into());
                }
                Err(RecvTimeoutError::Timeout) if asked.elapsed() >= self.patience => {
                    let seconds = self.patience.as_secs();
                    return Err(self.said(&format!(
                        "has been silent for {seconds} s; expected {expected} (--answer-within SECONDS waits longer)"
                    )));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// A sentence about the program, with what it last wrote on standard error.
    pub fn said(&self, what: &str) -> String {
        let last = self.stderr.joined();
        let last = if last.is_empty() { last } else { format!("; it last said: {last}") };
        format!("`{}` {what}{last}", self.name)
    }

    fn gone(&mut self, expected: &str) -> String {
        let deadline = Instant::now() + LAST_BREATH;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.stderr.at_end();
                    break format!("ended ({status})");
                }
                _ if Instant::now() >= deadline => break "closed its output".to_owned(),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.said(&format!("{status}; expected {expected}"))
    }
}

/// Passes lines on until the output ends. A line that is too long is passed on cut, which makes it
/// nonsense.
fn read_lines(output: ChildStdout, sender: &SyncSender<Vec<u8>>) {
    let mut reader = BufReader::with_capacity(1 << 16, output);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while line.last().is_some_and(|&b| b == b'\n' || b == b'\r') {
            line.pop();
        }
        if sender.send(line).is_err() {
            return;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A well-behaved program ends with its input; what it started is ended with it.
        self.input = None;
        let deadline = Instant::now() + LOOK;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let group = -(self.child.id() as libc::pid_t);
        // SAFETY: signals a group that this process made; no memory is involved. The child has not
        // been reaped before `try_wait` said so, and a group outlives its leader.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(group, libc::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
