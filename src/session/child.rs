//! The real llama.cpp as a child process of ours that writes a growing trace.

use std::path::Path;
use std::process::{self, Stdio};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::engine::external::LastLines;
use crate::model::CaptureSet;

/// What llama.cpp's process is to record, beside the tokens.
#[derive(Clone, Copy, Debug)]
pub struct Tracing<'a> {
    /// The model file.
    pub model: &'a Path,
    /// What is recorded; `Off`: only the logits that llama.cpp hands out, with no callback in it.
    pub capture: &'a CaptureSet,
    /// Tokens that are generated.
    pub generate: u32,
    /// Positions to open it for.
    pub context: Option<usize>,
    /// Threads; 0: as many as it takes by itself.
    pub threads: usize,
    /// The trace.
    pub output: &'a Path,
}

impl Tracing<'_> {
    /// The arguments of `paritty`; those that say which tokens are to be added.
    pub fn arguments(self) -> Vec<String> {
        let mut arguments = vec![
            "trace".to_owned(),
            std::path::absolute(self.model).unwrap_or_else(|_| self.model.to_owned()).display().to_string(),
            "--engine=llama.cpp".to_owned(),
            format!("-n{}", self.generate),
            format!("--output={}", self.output.display()),
        ];
        arguments.push(match self.capture {
            CaptureSet::Off => "--untapped".to_owned(),
            capture => format!("--checkpoints={capture}"),
        });
        arguments.extend(self.context.map(|n| format!("--ctx={n}")));
        if self.threads > 0 {
            arguments.push(format!("--threads={}", self.threads));
        }
        arguments
    }
}

/// The argument that says which tokens are computed.
pub fn tokens(ids: &[u32]) -> String {
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    format!("--tokens={}", ids.join(","))
}

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
