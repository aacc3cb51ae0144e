//! `paritty score`: how often a diagnosis is right.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, assets};
use crate::document as formats;
use crate::gguf::{Gguf, WeightType};
use crate::mutate::convert;
use crate::score::document::document;
use crate::score::json::json;
use crate::score::{self, Options, Subject, subject};

/// Measure how often paritty is right: every mistake, in models of several architectures and weight types.
///
/// Mistakes are made in our engine (and, in a build with llama.cpp, in model files that llama.cpp then runs),
/// each in the first, a middle and the last layer. Beside them stand pairs of correct runs, on which nothing
/// must be named. The comparison of two runs is scored beside the audit, to show what the audit adds.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Each mistake in one layer of each model, in turns; fewer clean pairs
    #[arg(long)]
    quick: bool,
    /// Only mistakes whose id matches this regular expression; no clean pairs
    #[arg(long, value_name = "REGEX")]
    faults: Option<regex::Regex>,
    /// Only models whose name matches this regular expression
    #[arg(long, value_name = "REGEX")]
    models: Option<regex::Regex>,
    /// How the report is written
    #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(formats::format_names()))]
    format: String,
    /// One JSON object: rates and the rows behind them
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl ScoreArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let folder = tempfile::Builder::new()
            .prefix("paritty-")
            .tempdir()
            .context("cannot make a temporary folder for traces")?;
        let options = Options { quick: self.quick, faults: self.faults, models: self.models };
        let subjects = subjects(folder.path(), options.models.as_ref())?;
        let style = ProgressStyle::with_template("scoring  {bar:40} {pos}/{len} runs  {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style);
        let score = score::score(&subjects, &options, folder.path(), &|done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        if self.json {
            serde_json::to_writer_pretty(&mut out, &json(&score))?;
            writeln!(out)?;
        } else {
            let Some(format) = formats::format(&self.format) else {
                bail!("no format is called `{}`", self.format)
            };
            let tried =
                if options.quick { "one layer a mistake and model" } else { "first, middle and last layer" };
            format.write(&document(&score, tried), &mut out)?;
        }
        out.flush()?;
        Ok(if score.rows.iter().any(|r| r.false_alarm) { Outcome::Diverged } else { Outcome::Ok })
    }
}

/// The demos with their recorded runs of llama.cpp, and what they lack: other weight types, soft-caps and a
/// sliding window, with the oracle as reference.
fn subjects(folder: &Path, wanted: Option<&regex::Regex>) -> anyhow::Result<Vec<Subject>> {
    let is_wanted = |name: &str| wanted.is_none_or(|r| r.is_match(name));
    let demos = assets::demos()?;
    let mut subjects = Vec::new();
    let short = |name: &str| name.trim_start_matches("shakespeare-").to_owned();
    for demo in &demos {
        let name = short(&demo.name);
        if is_wanted(&name) {
            subjects.push(Subject::recorded(&name, &demo.model, &demo.trace, folder)?);
        }
    }
    let model = |name: &str| -> anyhow::Result<Gguf> {
        let demo = demos.iter().find(|d| short(&d.name) == name);
        Ok(Gguf::open(&demo.with_context(|| format!("the assets lack the model {name}"))?.model)?)
    };
    let tokens = |n_vocab| score::random_tokens(1, 24, n_vocab);
    for (from, to, name) in [
        ("f16", WeightType::Q8_0, "llama-q8_0"),
        ("qwen2-f16", WeightType::Q8_0, "qwen2-q8_0"),
        ("qwen2-f16", WeightType::F32, "qwen2-f32"),
    ] {
        if is_wanted(name) {
            let path = folder.join(format!("{name}.gguf"));
            convert::convert(&model(from)?, to, &path)?;
            subjects.push(Subject::with_oracle(name, &path, tokens(1024), folder)?);
        }
    }
    if is_wanted("gemma2-f32") {
        let path = folder.join("gemma2-f32.gguf");
        subject::gemma2(&model("q4_k_m")?, &path)?;
        subjects.push(Subject::with_oracle("gemma2-f32", &path, tokens(1024), folder)?);
    }
    Ok(subjects)
}
