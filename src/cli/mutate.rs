//! `paritty mutate`: a model file with a mistake in it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::fault::FAULTS;
use crate::gguf::Gguf;
use crate::mutate::{Change, Edit, MUTATIONS};

/// Write a model file with a mistake in it, for an engine that is not ours.
///
/// Whoever runs OUT computes what an engine with that mistake would compute from MODEL. A CHANGE is one of
/// the faults of `paritty demo --fault list` that a file can express (ID or ID@LAYER), or one of the changes
/// of `paritty mutate --list` (ID:name=value,…). Bytes that are not changed stay as they are. Values of
/// types other than F32, F16, BF16 and Q8_0 can be scaled, reordered and cleared by row; for anything else
/// convert the model first.
#[derive(Debug, Args)]
pub struct MutateArgs {
    /// Model file (GGUF) to read
    #[arg(required_unless_present = "list")]
    model: Option<PathBuf>,
    /// Model file to write
    #[arg(required_unless_present_any = ["list", "tensors"])]
    output: Option<PathBuf>,
    /// What to change; may be given several times, and is done in that order
    #[arg(long, value_name = "CHANGE")]
    change: Vec<Change>,
    /// Name the changes, and the faults that can be made in MODEL if one is given
    #[arg(long)]
    list: bool,
    /// Name the tensors of MODEL
    #[arg(long, conflicts_with = "list")]
    tensors: bool,
}

impl MutateArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let gguf = self.model.as_deref().map(Gguf::open).transpose()?;
        if self.list {
            return list(gguf.as_ref());
        }
        let gguf = gguf.context("say which model to change")?;
        if self.tensors {
            let mut out = std::io::stdout().lock();
            for t in gguf.tensors() {
                writeln!(
                    out,
                    "{:<40} {:<6} {:?}",
                    crate::text::safe_short(&t.name, 60),
                    t.weight_type.to_string(),
                    t.shape
                )?;
            }
            return Ok(Outcome::Ok);
        }
        let output = self.output.context("say where to write the changed model")?;
        let mut edit = Edit::new(&gguf);
        for change in &self.change {
            change.apply(&mut edit)?;
        }
        let bar = progress_bar(gguf.file_size());
        edit.save(&output, |bytes| bar.inc(bytes))?;
        bar.finish_and_clear();
        Ok(Outcome::Ok)
    }
}

fn list(gguf: Option<&Gguf>) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    for mutation in MUTATIONS {
        writeln!(out, "{:<20} {}", mutation.id(), mutation.title())?;
        for (name, meaning, default) in mutation.settings() {
            let default = default.map(|d| format!(" [default: {d}]")).unwrap_or_default();
            writeln!(out, "    {name}=…  {meaning}{default}")?;
        }
    }
    let Some(gguf) = gguf else {
        writeln!(out, "\nand faults: give MODEL to see which can be made in it")?;
        return Ok(Outcome::Ok);
    };
    writeln!(out)?;
    for fault in FAULTS {
        if fault.id().parse::<Change>()?.apply(&mut Edit::new(gguf)).is_ok() {
            writeln!(out, "{:<20} {}", fault.id(), fault.title())?;
        }
    }
    Ok(Outcome::Ok)
}

fn progress_bar(bytes: u64) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let style =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {binary_bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(bytes);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
