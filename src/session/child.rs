//! The real llama.cpp as a child process of ours that writes a growing trace.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{self, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::Notify;

/// Lines of the child's stderr that are kept for the message when it fails.
const KEPT_LINES: usize = 8;

/// A child that traces. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    stderr: Arc<Mutex<Vec<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts `paritty trace` with these arguments.
    pub fn start(arguments: &[String], wake: Arc<Notify>) -> std::io::Result<Self> {
        Self::spawn(&std::env::current_exe()?, arguments, wake)
    }

    fn spawn(program: &Path, arguments: &[String], wake: Arc<Notify>) -> std::io::Result<Self> {
        let mut process = process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let mut listener = None;
        if let Some(pipe) = process.stderr.take() {
            let kept = Arc::clone(&stderr);
            listener = Some(thread::Builder::new().name("child-stderr".into()).spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    let line = crate::text::safe_short(&String::from_utf8_lossy(&line), 200);
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.len() == KEPT_LINES {
                        kept.remove(0);
                    }
                    kept.push(line);
                }
                // End of stderr: the child has ended or is about to.
                wake.notify_one();
            })?);
        }
        Ok(Self { process, stderr, listener })
    }

    /// Why the child failed, if it did.
    pub fn failure(&mut self) -> Option<String> {
        self.outcome()?.err()
    }

    /// Nothing while the child runs; then whether it did what it was told, or why not.
    pub fn outcome(&mut self) -> Option<Result<(), String>> {
        let status = match self.process.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) if status.success() => return Some(Ok(())),
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        if let Some(listener) = self.listener.take() {
            // What it said last is in the pipe still. A thread that panicked has nothing to add.
            let _ = listener.join();
        }
        let said = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).join(" · ");
        Some(Err(if said.is_empty() { format!("llama.cpp's process ended: {status}") } else { said }))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already; either way it must not be left behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
