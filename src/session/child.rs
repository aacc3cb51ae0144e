//! The real llama.cpp as a child process of ours that writes a growing trace.

use std::path::Path;
use std::process::{self, Stdio};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::engine::external::LastLines;

/// A child that traces. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    stderr: LastLines,
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
        let stderr = match process.stderr.take() {
            // The end of stderr: the child has ended or is about to.
            Some(pipe) => LastLines::follow(pipe, move || wake.notify_one())?,
            None => LastLines::default(),
        };
        Ok(Self { process, stderr })
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
        let said = self.stderr.at_end();
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
