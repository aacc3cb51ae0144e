//! One trial: the candidate is run, both runs are compared, every judge is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::difference::{changed, rewritten};
use super::grade::{Row, grade, words};
use super::judge::Evidence;
use super::plan::{Candidate, Trial};
use super::record::record;
use super::tokens::{random_tokens, token};
use super::truth::Truth;
use super::{JUDGES, ScoreError, Subject};
use crate::diagnose::compare;
use crate::engine::open::Kind;
use crate::fault::{Injection, Injections};
use crate::model::Checkpoint;
use crate::trace::Store;

/// What came of a trial.
pub enum Judged {
    /// One row a judge.
    Rows(Vec<Row>),
    /// There is nothing to judge, for this reason.
    NotCounted(String),
}

/// What a judge sees, and what is true.
struct Setup {
    reference: PathBuf,
    candidate: PathBuf,
    /// Files that are removed afterwards.
    temporary: Vec<PathBuf>,
    truth: Truth,
    trial: String,
    engine: &'static str,
    number: u8,
}

/// Runs `trial`; its files in `folder` are called by `number`.
pub fn run(trial: &Trial<'_>, folder: &Path, number: usize) -> Result<Judged, ScoreError> {
    let subject = trial.subject;
    let path = folder.join(format!("candidate-{number}.jsonl"));
    let setup = match &trial.candidate {
        Candidate::Faulty(injection) => {
            let Some(setup) = faulty(subject, *injection, path)? else {
                let why = format!("{injection} in {} (changes nothing that is recorded)", subject.name);
                return Ok(Judged::NotCounted(why));
            };
            setup
        }
        Candidate::Clean { kind, kv_f16, seed } => clean(subject, *kind, *kv_f16, *seed, folder, path)?,
        Candidate::Reference => Setup {
            reference: subject.clean.clone(),
            candidate: subject.reference.clone(),
            temporary: Vec::new(),
            truth: Truth::Clean,
            trial: format!("{} against cpu", reference_name(subject)),
            engine: reference_name(subject),
            number: 0,
        },
        #[cfg(feature = "llama-cpp")]
        Candidate::Llama(setting) => {
            let made = match super::llama::make(subject, setting, folder, number) {
                Ok(made) => made,
                Err(error) => return Ok(Judged::NotCounted(format!("{setting}, {}: {error}", subject.name))),
            };
            Setup {
                reference: made.reference,
                candidate: made.candidate,
                temporary: made.temporary,
                truth: made.truth,
                trial: setting.to_string(),
                engine: "llama.cpp",
                number: made.number,
            }
        }
    };
    let rows = judge(subject, &setup);
    setup.temporary.iter().for_each(|path| remove(path));
    rows.map(Judged::Rows)
}

/// Removes a trace with its sidecar; what stays goes with the temporary folder.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_file(path.with_extension("bin"));
}

fn reference_name(subject: &Subject) -> &'static str {
    if subject.of_llama_cpp { "llama.cpp" } else { "oracle" }
}

fn judge(subject: &Subject, setup: &Setup) -> Result<Vec<Row>, ScoreError> {
    let (reference, candidate) = (Store::load(&setup.reference)?, Store::load(&setup.candidate)?);
    let started = Instant::now();
    let comparison = compare(&reference, &candidate);
    let compared = started.elapsed().as_secs_f64();
    let evidence = Evidence {
        gguf: &subject.gguf,
        graph: &subject.graph,
        reference: &reference,
        candidate: &candidate,
        comparison: &comparison,
    };
    JUDGES
        .iter()
        .map(|judge| {
            let started = Instant::now();
            let answer = judge.judge(&evidence)?;
            let seconds = compared + started.elapsed().as_secs_f64();
            let grade = grade(&setup.truth, &answer);
            let (named, named_mistakes) = words(&answer);
            Ok(Row {
                subject: subject.name.clone(),
                arch: subject.arch.clone(),
                weights: subject.weights.clone(),
                trial: setup.trial.clone(),
                engine: setup.engine,
                mistake: setup.truth.mistake().map(|m| (m.to_owned(), setup.number)),
                judge: judge.id(),
                operation_right: grade.operation_right,
                mistake_right: grade.mistake_right,
                false_alarm: grade.false_alarm,
                undecided: grade.undecided,
                named,
                named_mistakes,
                beside: grade.beside,
                seconds,
            })
        })
        .collect()
}

/// Our engine with a fault; `None` if that changed nothing.
fn faulty(subject: &Subject, injection: Injection, path: PathBuf) -> Result<Option<Setup>, ScoreError> {
    let faults = Injections::new(vec![injection]);
    let mut graph = subject.graph.clone();
    faults.apply(&mut graph)?;
    let mut tokens = subject.tokens.clone();
    if injection.changes_tokens() {
        let mut ids = tokens.iter().map(|t| t.id).collect();
        faults.change_tokens(&mut ids);
        tokens = ids.into_iter().map(token).collect();
        tokens.truncate(subject.graph.n_ctx);
    }
    let rewritten: BTreeSet<Checkpoint> = rewritten(&subject.graph, &graph);
    record(&subject.gguf, graph, &faults, Kind::Cpu, false, &tokens, &path)?;
    let mistake = injection.fault().id().to_owned();
    let truth = if injection.changes_tokens() {
        Truth::Tokens { mistake }
    } else {
        let changed = changed(&subject.clean, &path)?;
        if changed.is_empty() {
            remove(&path);
            return Ok(None);
        }
        if injection.fault().mislog().is_some() {
            Truth::Recorder { mistake, nodes: changed }
        } else {
            Truth::Engine { mistake, nodes: rewritten }
        }
    };
    Ok(Some(Setup {
        reference: subject.reference.clone(),
        candidate: path.clone(),
        temporary: vec![path],
        truth,
        trial: injection.to_string(),
        engine: "cpu",
        number: injection.fault().catalogue(),
    }))
}

/// A correct engine.
fn clean(
    subject: &Subject,
    kind: Kind,
    kv_f16: bool,
    seed: Option<u32>,
    folder: &Path,
    path: PathBuf,
) -> Result<Setup, ScoreError> {
    let none = Injections::default();
    let cache = if kv_f16 { ", cache in f16" } else { "" };
    let Some(seed) = seed else {
        record(&subject.gguf, subject.graph.clone(), &none, kind, kv_f16, &subject.tokens, &path)?;
        return Ok(Setup {
            reference: subject.reference.clone(),
            candidate: path.clone(),
            temporary: vec![path],
            truth: Truth::Clean,
            trial: format!("{kind}{cache} against {}", reference_name(subject)),
            engine: "cpu",
            number: 0,
        });
    };
    let tokens = random_tokens(seed, subject.tokens.len(), subject.graph.n_vocab);
    let other = folder.join(format!("{}-{seed}-{kind}-{kv_f16}-reference.jsonl", subject.name));
    // The other of the two precisions stands beside it.
    let beside = if kind == Kind::Oracle { Kind::Cpu } else { Kind::Oracle };
    record(&subject.gguf, subject.graph.clone(), &none, beside, false, &tokens, &other)?;
    record(&subject.gguf, subject.graph.clone(), &none, kind, kv_f16, &tokens, &path)?;
    Ok(Setup {
        reference: other.clone(),
        candidate: path.clone(),
        temporary: vec![path, other],
        truth: Truth::Clean,
        trial: format!("{kind}{cache} against {beside}, tokens {seed}"),
        engine: "cpu",
        number: 0,
    })
}
