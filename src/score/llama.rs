//! The real llama.cpp as the engine under test: with settings that are all right, and over files with a
//! mistake in them, which no part of ours has computed.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::plan::places;
use super::run::rewritten;
use super::truth::Truth;
use super::{Options, ScoreError, Subject};
use crate::fault::{FAULTS, Injection};
use crate::gguf::WeightType;
use crate::model::Checkpoint;
use crate::mutate::{Change, Edit, convert};
use crate::trace::Token;

/// How llama.cpp is run.
#[derive(Clone, Debug)]
pub enum Setting {
    /// As it is, token by token.
    Plain,
    /// The prompt as one batch.
    Batch,
    /// Attention fused.
    FlashAttention,
    /// Weights as they lie in the file.
    NoRepack,
    /// Two threads.
    Threads,
    /// The model's own weights as Q8_0, held against the model: a true difference of weights.
    Requantised,
    /// Over a file with this mistake in it.
    Mutated(Injection),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("llama.cpp as it is"),
            Self::Batch => f.write_str("llama.cpp, prompt as one batch"),
            Self::FlashAttention => f.write_str("llama.cpp, flash attention"),
            Self::NoRepack => f.write_str("llama.cpp, weights not rearranged"),
            Self::Threads => f.write_str("llama.cpp, two threads"),
            Self::Requantised => f.write_str("llama.cpp over the same weights as Q8_0"),
            Self::Mutated(injection) => write!(f, "{injection} in the file"),
        }
    }
}

/// What is tried with `subject`.
pub fn settings(subject: &Subject, options: &Options, turn: usize) -> Result<Vec<Setting>, ScoreError> {
    let mut settings = Vec::new();
    if options.faults.is_none() {
        settings.extend([Setting::Plain, Setting::Batch, Setting::FlashAttention, Setting::NoRepack]);
        if !options.quick {
            settings.push(Setting::Threads);
        }
        if subject.weights == "F16" {
            settings.push(Setting::Requantised);
        }
    }
    for (number, fault) in FAULTS.iter().enumerate() {
        if options.faults.as_ref().is_some_and(|r| !r.is_match(fault.id())) {
            continue;
        }
        let turn = options.quick.then_some(turn + number);
        let mut all = places(*fault, &subject.graph, turn)?;
        // Keys hold for every layer.
        if let Ok(everywhere) = fault.id().parse()
            && !all.is_empty()
        {
            all.push(everywhere);
        }
        let fits = |i: &Injection| Change::Fault(*i).apply(&mut Edit::new(&subject.gguf)).is_ok();
        let mut fitting: Vec<Injection> = all.into_iter().filter(fits).collect();
        if fitting.iter().any(|i| i.layer().is_some()) {
            fitting.retain(|i| i.layer().is_some());
        }
        fitting.dedup_by_key(|i| i.to_string());
        settings.extend(fitting.into_iter().map(Setting::Mutated));
    }
    Ok(settings)
}

/// A run to be judged.
pub struct Made {
    /// Who is trusted.
    pub reference: PathBuf,
    /// The run.
    pub candidate: PathBuf,
    /// Files to remove.
    pub temporary: Vec<PathBuf>,
    /// What is true.
    pub truth: Truth,
    /// Number of the mistake.
    pub number: u8,
}

/// Runs llama.cpp; the error is llama.cpp's own if it refuses a file.
pub fn make(subject: &Subject, setting: &Setting, folder: &Path, number: usize) -> Result<Made, ScoreError> {
    let candidate = folder.join(format!("llama-{number}.jsonl"));
    let file = folder.join(format!("llama-{number}.gguf"));
    let mut model = subject.gguf.path();
    let mut truth = Truth::Clean;
    let mut catalogue = 0;
    match setting {
        Setting::Requantised => {
            convert::convert(&subject.gguf, WeightType::Q8_0, &file)?;
            (model, truth) = (&file, Truth::Weights);
        }
        Setting::Mutated(injection) => {
            let mut edit = Edit::new(&subject.gguf);
            Change::Fault(*injection).apply(&mut edit)?;
            edit.save(&file, |_| {})?;
            let mut wrong = subject.graph.clone();
            injection.apply(&mut wrong)?;
            let nodes: BTreeSet<Checkpoint> = rewritten(&subject.graph, &wrong);
            truth = Truth::Engine { mistake: injection.fault().id().to_owned(), nodes };
            catalogue = injection.fault().catalogue();
            model = &file;
        }
        _ => {}
    }
    let done = record(model, setting, &subject.tokens, &candidate);
    let temporary = vec![candidate.clone(), file];
    if done.is_err() {
        for path in &temporary {
            let _ = std::fs::remove_file(path);
        }
    }
    done?;
    let reference = if matches!(setting, Setting::Plain) { &subject.clean } else { &subject.reference };
    Ok(Made { reference: reference.clone(), candidate, temporary, truth, number: catalogue })
}

/// In a process of its own: what llama.cpp does not like in a file, it may abort for.
fn record(model: &Path, setting: &Setting, tokens: &[Token], path: &Path) -> Result<(), ScoreError> {
    let other = |e: std::io::Error| ScoreError::Other(format!("cannot start llama.cpp: {e}"));
    let ids: Vec<String> = tokens.iter().map(|t| t.id.to_string()).collect();
    let mut command = Command::new(std::env::current_exe().map_err(other)?);
    command.arg("trace").arg(model).args(["--engine=llama.cpp", "--kv=f16"]);
    command.arg(format!("--tokens={}", ids.join(","))).arg("-o").arg(path);
    command.arg(if matches!(setting, Setting::Threads) { "--threads=2" } else { "--threads=1" });
    match setting {
        Setting::Batch => command.arg("--batch-prefill"),
        Setting::FlashAttention => command.arg("--flash-attn=on"),
        Setting::NoRepack => command.arg("--no-repack"),
        _ => &mut command,
    };
    let output = command.env("GGML_NO_BACKTRACE", "1").stdin(Stdio::null()).output().map_err(other)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    Err(ScoreError::Other(format!("llama.cpp refuses: {}", crate::text::safe_short(why, 120))))
}
