//! The real llama.cpp as the engine under test: with settings that are all right, and over files with a
//! mistake in them, which no part of ours has computed.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::difference::rewritten;
use super::places::places;
use super::truth::Truth;
use super::{Options, ScoreError, Subject};
use crate::engine::run::KvType;
use crate::fault::{FAULTS, Injection};
use crate::gguf::WeightType;
use crate::model::Checkpoint;
use crate::mutate::{Change, Edit, convert};
use crate::trace::Token;

/// How llama.cpp is run.
#[derive(Clone, Debug)]
pub enum Setting {
    /// Over the model itself.
    Clean(How),
    /// The model's own weights as Q8_0, held against the model: a true difference of weights.
    Requantised,
    /// Over a file with this mistake in it.
    Mutated(Injection),
}

/// Settings of llama.cpp, all of them right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// The prompt as one batch.
    batch: bool,
    /// Attention fused.
    flash: bool,
    /// Threads that compute.
    threads: usize,
    /// Weights as they lie in the file.
    as_they_lie: bool,
    /// Type of the cache.
    kv: KvType,
}

impl How {
    /// As llama.cpp is by itself, but token by token and with attention node by node.
    const PLAIN: Self = Self { batch: false, flash: false, threads: 1, as_they_lie: false, kv: KvType::F16 };

    /// One setting after the other, and for the full score most of them together.
    fn all(quick: bool) -> Vec<Self> {
        let plain = Self::PLAIN;
        let mut all = vec![
            plain,
            Self { batch: true, ..plain },
            Self { flash: true, ..plain },
            Self { as_they_lie: true, ..plain },
            Self { kv: KvType::F32, ..plain },
            // llama.cpp takes a quantised cache of values with fused attention only.
            Self { kv: KvType::Q8_0, flash: true, ..plain },
        ];
        if !quick {
            all.push(Self { batch: true, as_they_lie: true, ..plain });
            for number in 0..16 {
                let bit = |n: u32| number >> n & 1 == 1;
                let kv = if bit(3) { KvType::F32 } else { KvType::F16 };
                let how = Self {
                    batch: bit(0),
                    flash: bit(1),
                    threads: if bit(2) { 2 } else { 1 },
                    as_they_lie: false,
                    kv,
                };
                if !all.contains(&how) {
                    all.push(how);
                }
            }
        }
        all
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("llama.cpp")?;
        for (is, says) in [
            (self.batch, ", prompt as one batch"),
            (self.flash, ", flash attention"),
            (self.threads == 2, ", two threads"),
            (self.as_they_lie, ", weights not rearranged"),
        ] {
            f.write_str(if is { says } else { "" })?;
        }
        match self.kv {
            KvType::F16 => Ok(()),
            kv => write!(f, ", cache in {}", kv.name()),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean(how) => how.fmt(f),
            Self::Requantised => f.write_str("llama.cpp over the same weights as Q8_0"),
            Self::Mutated(injection) => write!(f, "{injection} in the file"),
        }
    }
}

/// What is tried with `subject`.
pub fn settings(subject: &Subject, options: &Options, turn: usize) -> Result<Vec<Setting>, ScoreError> {
    let mut settings = Vec::new();
    if options.faults.is_none() {
        settings.extend(How::all(options.quick).into_iter().map(Setting::Clean));
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
        Setting::Clean(_) => {}
    }
    let how = if let Setting::Clean(how) = setting { *how } else { How::PLAIN };
    let done = record(model, how, &subject.tokens, &candidate);
    let temporary = vec![candidate.clone(), file];
    if done.is_err() {
        for path in &temporary {
            let _ = std::fs::remove_file(path);
        }
    }
    done?;
    let reference = if matches!(setting, Setting::Clean(how) if *how == How::PLAIN) {
        &subject.clean
    } else {
        &subject.reference
    };
    Ok(Made { reference: reference.clone(), candidate, temporary, truth, number: catalogue })
}

/// In a process of its own: what llama.cpp does not like in a file, it may abort for.
fn record(model: &Path, how: How, tokens: &[Token], path: &Path) -> Result<(), ScoreError> {
    let other = |e: std::io::Error| ScoreError::Other(format!("cannot start llama.cpp: {e}"));
    let ids: Vec<String> = tokens.iter().map(|t| t.id.to_string()).collect();
    let mut command = Command::new(std::env::current_exe().map_err(other)?);
    command.arg("trace").arg(model).arg("--engine=llama.cpp").arg(format!("--kv={}", how.kv.name()));
    command.arg(format!("--tokens={}", ids.join(","))).arg("-o").arg(path);
    command.arg(format!("--threads={}", how.threads));
    for (is, option) in
        [(how.batch, "--batch-prefill"), (how.flash, "--flash-attn=on"), (how.as_they_lie, "--no-repack")]
    {
        command.args(is.then_some(option));
    }
    let output = command.env("GGML_NO_BACKTRACE", "1").stdin(Stdio::null()).output().map_err(other)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    Err(ScoreError::Other(format!("llama.cpp refuses: {}", crate::text::safe_short(why, 120))))
}
