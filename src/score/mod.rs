//! How often a diagnosis is right: every mistake that can be made, in models of several architectures and
//! weight types and in several layers, judged beside pairs of correct runs.
//!
//! A [`Subject`] is a model with a clean reference run, a `Trial` one candidate with what is
//! known to be wrong with it (the [`Truth`]), a [`Judge`] whoever says what is wrong without knowing. Judges
//! are registered in [`JUDGES`]. Rows that are wrong stay in the result like all others.

mod auditing;
mod difference;
pub mod document;
mod free_running;
pub mod grade;
pub mod json;
pub mod judge;
#[cfg(feature = "llama-cpp")]
mod llama;
mod places;
mod plan;
mod record;
mod run;
pub mod subject;
pub mod tally;
mod tokens;
pub mod truth;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use grade::Row;
pub use judge::{Answer, Judge};
pub use subject::Subject;
pub use tally::Tally;
pub use tokens::random_tokens;
pub use truth::Truth;

/// Every judge; the last one is the one that the program stands by.
pub static JUDGES: &[&dyn Judge] = &[&free_running::FreeRunning, &auditing::Auditing];

/// How much is tried.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Each fault in one layer of each model, in turns the first, a middle and the last one, instead of in
    /// all three; fewer clean pairs.
    pub quick: bool,
    /// Only faults whose id matches.
    pub faults: Option<regex::Regex>,
    /// Only models whose name matches.
    pub models: Option<regex::Regex>,
}

/// Why nothing could be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A model file, or making one.
    #[error(transparent)]
    File(#[from] crate::gguf::GgufError),
    /// The model in it.
    #[error(transparent)]
    Model(#[from] crate::model::hparams::ModelError),
    /// An engine.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// A trace.
    #[error(transparent)]
    Trace(#[from] crate::trace::TraceError),
    /// A model of random weights.
    #[error(transparent)]
    Synth(#[from] crate::synth::SynthError),
    /// A fault.
    #[error(transparent)]
    Fault(#[from] crate::fault::FaultError),
    /// A changed file.
    #[error(transparent)]
    Mutate(#[from] crate::mutate::MutateError),
    /// An audit.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// A diagnosis.
    #[error(transparent)]
    Diagnose(#[from] crate::diagnose::DiagnoseError),
    /// The real llama.cpp, or anything else.
    #[error("{0}")]
    Other(String),
}

/// Everything that was tried.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// One a trial and judge, in the order of the plan.
    pub rows: Vec<Row>,
    /// What was tried and cannot be judged, with the reason: a fault that changed no bit of a run (NaN recorded
    /// as 0 where there is none), a changed file that llama.cpp refuses.
    pub not_counted: Vec<String>,
}

/// Tries everything. `folder` takes temporary files; `progress` is told how many trials are done, of how many.
pub fn score(
    subjects: &[Subject],
    options: &Options,
    folder: &Path,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Score, ScoreError> {
    let trials = plan::trials(subjects, options)?;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Threads of our own: inside, engines and the audit share the pool's, and a trial that waits for the
    // pool must not take up another one on the same stack.
    let work = || {
        let mut results = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(trial) = trials.get(number) else { return Ok(results) };
            let judged = run::run(trial, folder, number).inspect_err(|_| {
                // Nobody else needs to begin.
                next.fetch_max(trials.len(), Ordering::Relaxed);
            })?;
            results.push((number, judged));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, trials.len());
        }
    };
    let mut results: Vec<(usize, run::Judged)> = Vec::new();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| -> Result<(), ScoreError> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let part: Result<_, ScoreError> =
                worker.join().unwrap_or_else(|_| Err(ScoreError::Other("a trial ended unexpectedly".into())));
            results.extend(part?);
        }
        Ok(())
    })?;
    results.sort_by_key(|(number, _)| *number);
    let mut score = Score::default();
    for (_, judged) in results {
        match judged {
            run::Judged::Rows(mut rows) => score.rows.append(&mut rows),
            run::Judged::NotCounted(what) => score.not_counted.push(what),
        }
    }
    Ok(score)
}
