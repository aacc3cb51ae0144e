//! Parses the command line, runs the command, maps the result to an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use paritty::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(outcome) => outcome.into(),
        // Whoever read our output has seen enough (`paritty compare … | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when stderr is closed too.
            let _ = writeln!(io::stderr(), "paritty: {}", paritty::text::safe(&said(&error)));
            ExitCode::from(2)
        }
    }
}

/// What went wrong and why, nothing twice: some causes are part of what they caused.
fn said(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|io| io.kind() == io::ErrorKind::BrokenPipe)
}
