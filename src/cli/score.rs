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
/// each in the first, a middle and the last layer of seven architectures in F32, F16, Q8_0 and Q4_K_M. Beside them stand pairs of correct runs, on which nothing
/// must be named. The comparison of two runs is scored beside the audit, to show what the audit adds.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Each mistake in one layer of each model, in turns; fewer models and clean pairs
    #[arg(long)]
    quick: bool,
    /// Only mistakes whose id matches this regular expression; no clean pairs
    #[arg(long, value_name = "REGEX")]
    faults: Option<regex::Regex>,
    /// Only models whose name matches this regular expression; with `--quick`, too, any of the full score's
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
        let subjects = subjects(folder.path(), &options)?;
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

/// Where a model comes from that is no demo.
enum Made {
    /// A demo's weights, widened or rounded to another type.
    Converted(&'static str, WeightType),
    /// Random weights: shape and mix of types.
    Random(&'static str, &'static str),
}

/// Models beside the demos, so that every architecture is there in F32, F16, Q8_0 and Q4_K_M, and whether the quick
/// score has them, too.
static MADE: &[(&str, Made, bool)] = &[
    ("llama-q8_0", Made::Converted("f16", WeightType::Q8_0), true),
    ("qwen2-q8_0", Made::Converted("qwen2-f16", WeightType::Q8_0), true),
    ("qwen2-f32", Made::Converted("qwen2-f16", WeightType::F32), true),
    ("gemma2-f32", Made::Random("gemma2-2b", "f32"), true),
    ("llama-f32", Made::Converted("f16", WeightType::F32), false),
    ("phi3-f32", Made::Converted("phi3-q4_k_m", WeightType::F32), false),
    ("phi3-f16", Made::Converted("phi3-q4_k_m", WeightType::F16), false),
    ("phi3-q8_0", Made::Converted("phi3-q4_k_m", WeightType::Q8_0), false),
    ("gpt2-f16", Made::Converted("gpt2-f32", WeightType::F16), false),
    ("gpt2-q8_0", Made::Converted("gpt2-f32", WeightType::Q8_0), false),
    ("gpt2-q4_k_m", Made::Random("gpt2-124m", "q4_k_m"), false),
    ("gemma2-f16", Made::Random("gemma2-2b", "f16"), false),
    ("gemma2-q8_0", Made::Random("gemma2-2b", "q8_0"), false),
    ("gemma2-q4_k_m", Made::Random("gemma2-2b", "q4_k_m"), false),
    ("qwen3-f32", Made::Random("qwen3-0.6b", "f32"), false),
    ("qwen3-f16", Made::Random("qwen3-0.6b", "f16"), false),
    ("qwen3-q8_0", Made::Random("qwen3-0.6b", "q8_0"), false),
    ("qwen3-q4_k_m", Made::Random("qwen3-0.6b", "q4_k_m"), false),
    ("gemma3-f32", Made::Random("gemma3-1b", "f32"), false),
    ("gemma3-f16", Made::Random("gemma3-1b", "f16"), false),
    ("gemma3-q8_0", Made::Random("gemma3-1b", "q8_0"), false),
    ("gemma3-q4_k_m", Made::Random("gemma3-1b", "q4_k_m"), false),
];

/// The demos with their recorded runs of llama.cpp, and [`MADE`] with the oracle as reference.
fn subjects(folder: &Path, options: &Options) -> anyhow::Result<Vec<Subject>> {
    let is_wanted = |name: &str| options.models.as_ref().is_none_or(|r| r.is_match(name));
    let demos = assets::demos()?;
    let short = |name: &str| name.trim_start_matches("shakespeare-").to_owned();
    let recorded: Vec<_> = demos.iter().filter(|demo| is_wanted(&short(&demo.name))).collect();
    let made: Vec<_> = MADE
        .iter()
        .filter(|(name, _, quick)| is_wanted(name) && (*quick || !options.quick || options.models.is_some()))
        .collect();
    if recorded.is_empty() && made.is_empty() {
        let names = demos.iter().map(|demo| short(&demo.name)).chain(MADE.iter().map(|m| m.0.to_owned()));
        bail!("no model's name matches; there are {}", names.collect::<Vec<_>>().join(", "));
    }
    let style = ProgressStyle::with_template("making models  {bar:40} {pos}/{len}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new((recorded.len() + made.len()) as u64).with_style(style);
    let mut subjects = Vec::new();
    for demo in recorded {
        let name = short(&demo.name);
        bar.set_message(name.clone());
        subjects.push(Subject::recorded(&name, &demo.model, &demo.trace, folder)?);
        bar.inc(1);
    }
    let model = |name: &str| -> anyhow::Result<Gguf> {
        let demo = demos.iter().find(|d| short(&d.name) == name);
        Ok(Gguf::open(&demo.with_context(|| format!("the assets lack the model {name}"))?.model)?)
    };
    for (name, from, _) in made {
        bar.set_message(*name);
        let path = folder.join(format!("{name}.gguf"));
        match from {
            Made::Converted(from, to) => convert::convert(&model(from)?, *to, &path)?,
            Made::Random(shape, mix) => subject::random(shape, mix, &model("q4_k_m")?, &path)?,
        }
        let n_vocab = Gguf::open(&path)?.get_strs("tokenizer.ggml.tokens")?.len();
        let tokens = score::random_tokens(1, 24, n_vocab.min(1024));
        subjects.push(Subject::with_oracle(name, &path, tokens, folder)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(subjects)
}
