//! The real llama.cpp as the engine under test: with settings that are all right, and over files with a
//! mistake in them, which no part of ours has computed.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::places;
use super::run::{rewritten, token};
use super::subject::convert;
use super::truth::Truth;
use super::{Options, ScoreError, Subject};
use crate::engine::run::{KvType, Run as _};
use crate::fault::{FAULTS, Injection};
use crate::gguf::{Gguf, WeightType};
use crate::llama_cpp::sample::Sampling;
use crate::llama_cpp::{ContextSettings, LlamaRun, LoadSettings, Model, RunSettings};
use crate::model::{CaptureSet, Checkpoint};
use crate::mutate::{Change, Edit};
use crate::trace::{Token, TraceWriter};

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
            convert(&subject.gguf, WeightType::Q8_0, &file)?;
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

fn record(model: &Path, setting: &Setting, tokens: &[Token], path: &Path) -> Result<(), ScoreError> {
    let other = |e: &dyn fmt::Display| ScoreError::Other(e.to_string());
    // Checked by our own reader first: its errors say more than llama.cpp's.
    Gguf::open(model)?;
    let load = LoadSettings { repack: !matches!(setting, Setting::NoRepack), ..LoadSettings::default() };
    let columns = if matches!(setting, Setting::Batch) { tokens.len() } else { 1 };
    let context = ContextSettings {
        positions: tokens.len(),
        columns,
        threads: if matches!(setting, Setting::Threads) { 2 } else { 1 },
        flash_attn: matches!(setting, Setting::FlashAttention),
        kv: KvType::F16,
        tapped: true,
    };
    let model = Arc::new(Model::load(model, load).map_err(|e| other(&e))?);
    let settings = RunSettings { load, context, sampling: Sampling::default(), capture: CaptureSet::All };
    let mut run = LlamaRun::new(model, settings, Arc::default()).map_err(|e| other(&e))?;
    let mut header = run.header();
    header.settings.n_ctx.get_or_insert(tokens.len() as u32);
    let mut writer = TraceWriter::create(path, &header)?;
    for (part, chunk) in tokens.chunks(columns).enumerate() {
        let first = (part * columns) as u32;
        for (position, t) in (first..).zip(chunk) {
            let columns = Some(chunk.len() as u32);
            writer.token(position, &Token { columns, ..token(t.id) })?;
        }
        let ids: Vec<u32> = chunk.iter().map(|t| t.id).collect();
        run.feed(&ids, &mut writer).map_err(|e| other(&e))?;
        for (position, _) in (first..).zip(chunk) {
            writer.complete(position)?;
        }
    }
    Ok(writer.end()?)
}
