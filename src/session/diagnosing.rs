//! Making a diagnosis on a thread of its own, from the traces as they were when it was asked for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::diagnosis::{Diagnosed, DiagnosisState, Faulty, SideDiagnosed};
use super::driver::panic_text;
use super::which::Which;
use crate::audit::document::{self, Subject};
use crate::audit::{AuditError, Conclusion, FaultyNode, Options};
use crate::compare::Comparison;
use crate::diagnose::{self, DiagnoseError};
use crate::gguf::Gguf;
use crate::text::safe;
use crate::trace::Store;
use crate::wording::{Sentence, Tone};

/// Shortest time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(50);
/// Positions compared between two looks at whether to go on.
const COMPARED_AT_ONCE: usize = 32;

/// What a diagnosis is made from.
pub(super) struct Subjects {
    /// The model.
    pub gguf: Arc<Gguf>,
    /// Positions that the session's engines are opened for, for traces that do not say.
    pub context: Option<usize>,
    /// Each run's trace, and how many bytes of its text to read: what the session has read.
    pub traces: [(PathBuf, u64); 2],
}

/// A diagnosis in the making. Dropping it calls it off, without waiting for the thread.
#[derive(Debug)]
pub(super) struct Diagnosing {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<DiagnosisState>,
    /// Whether `state` changed since it was last taken.
    news: AtomicBool,
    stop: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Shared {
    fn tell(&self, state: DiagnosisState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.news.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

impl Diagnosing {
    /// Starts the thread.
    pub fn start(subjects: Subjects, wake: &Arc<Notify>) -> std::io::Result<Self> {
        let first = DiagnosisState::Running { done: 0, of: 0, what: "reading both traces".to_owned() };
        let shared = Arc::new(Shared {
            state: Mutex::new(first),
            news: AtomicBool::new(true),
            stop: Arc::default(),
            wake: Arc::clone(wake),
        });
        let job = Job { shared: Arc::clone(&shared), begun: Instant::now(), reported: None };
        std::thread::Builder::new().name("diagnosis".into()).spawn(move || job.run(&subjects))?;
        Ok(Self { shared })
    }

    /// How it stands, if that changed since the last call.
    pub fn poll(&self) -> Option<DiagnosisState> {
        let news = self.shared.news.swap(false, Ordering::Acquire);
        news.then(|| self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Diagnosing {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Why there is no diagnosis.
enum Failure {
    Stopped,
    Because(String),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Because(text)
    }
}

/// The thread's side.
struct Job {
    shared: Arc<Shared>,
    begun: Instant,
    reported: Option<Instant>,
}

impl Job {
    fn run(mut self, subjects: &Subjects) {
        let shared = Arc::clone(&self.shared);
        let made = catch_unwind(AssertUnwindSafe(|| self.diagnose(subjects)));
        shared.tell(match made {
            Ok(Ok(found)) => DiagnosisState::Done(Arc::new(found)),
            Ok(Err(Failure::Stopped)) => DiagnosisState::Cancelled,
            Ok(Err(Failure::Because(text))) => DiagnosisState::Failed(text),
            Err(panic) => DiagnosisState::Failed(panicked(panic.as_ref())),
        });
    }

    fn diagnose(&mut self, subjects: &Subjects) -> Result<Diagnosed, Failure> {
        let mut stores = Vec::new();
        for (which, (path, bytes)) in Which::BOTH.into_iter().zip(&subjects.traces) {
            let mut store = Store::new(path);
            store.advance(*bytes).map_err(|error| safe(&error.to_string()).into_owned())?;
            if store.positions().next().is_some() {
                stores.push((which, store));
            }
        }
        if stores.is_empty() {
            return Err("nothing is recorded yet: compute a position first".to_owned().into());
        }
        let comparison = match &stores[..] {
            [(_, a), (_, b)] => Some(self.compare(a, b)?),
            _ => None,
        };
        let (mut sides, mut positions) = (Vec::new(), Vec::new());
        for (which, store) in &stores {
            sides.push(self.side(*which, store, subjects)?);
            positions.push(store.positions().count() as u32);
        }
        let found = diagnose::Diagnosed { sides, comparison, ..diagnose::Diagnosed::default() };
        Ok(self.findings(&found, &stores, &positions))
    }

    fn compare(&mut self, reference: &Store, candidate: &Store) -> Result<Comparison, Failure> {
        let mut positions: Vec<u32> = reference.positions().chain(candidate.positions()).collect();
        positions.sort_unstable();
        positions.dedup();
        let mut comparison = Comparison::new();
        for (i, some) in positions.chunks(COMPARED_AT_ONCE).enumerate() {
            self.report(i * COMPARED_AT_ONCE, positions.len(), || "comparing both runs".to_owned())?;
            comparison.update(reference, candidate, some);
        }
        // Runs that still grow are not said to lack what is yet to come.
        comparison.settle(reference, candidate);
        Ok(comparison)
    }

    /// One run by itself: as `paritty diagnose` has it.
    fn side(&mut self, which: Which, store: &Store, subjects: &Subjects) -> Result<diagnose::Side, Failure> {
        let role = if which == Which::Reference { "reference" } else { "candidate" };
        self.report(0, 0, || format!("auditing the {role}"))?;
        let folder = tempfile::Builder::new().prefix("paritty-").tempdir();
        let folder = folder.map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let options = Options { stop: Some(Arc::clone(&self.shared.stop)), ..Options::default() };
        let (gguf, context) = (&subjects.gguf, subjects.context);
        let mut progress = |what: &str, done: usize, of: usize| {
            // Being called off is told by the audit itself.
            let _ = self.report(done, of, || what.to_owned());
        };
        diagnose::Side::audit(role, gguf, store, context, &options, folder.path(), &mut progress).map_err(
            |error| match error {
                DiagnoseError::Audit(AuditError::Stopped) => Failure::Stopped,
                error => safe(&error.to_string()).into_owned().into(),
            },
        )
    }

    /// Says how far it is, not too often. Fails when it was called off.
    fn report(&mut self, done: usize, of: usize, what: impl Fn() -> String) -> Result<(), Failure> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        if done == 0 || self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.reported = Some(Instant::now());
            self.shared.tell(DiagnosisState::Running { done: done as u64, of: of as u64, what: what() });
        }
        Ok(())
    }

    fn findings(
        &self,
        found: &diagnose::Diagnosed,
        stores: &[(Which, Store)],
        positions: &[u32],
    ) -> Diagnosed {
        let (mut sides, mut faulty) = (Vec::new(), Vec::new());
        for ((side, (which, _)), positions) in found.sides.iter().zip(stores).zip(positions) {
            let subject = Subject { engine: side.engine.clone(), ..Subject::default() };
            let (judged, conclusion) = (side.judged(), side.conclusion());
            let weights =
                side.weights.iter().map(|weights| Sentence { tone: Tone::Bad, text: weights.says() });
            let mut sentences: Vec<Sentence> = weights.collect();
            // Against the file's own weights every product of other weights is off.
            if conclusion == judged.conclusion() {
                sentences.extend(document::verdict(judged, &subject));
            }
            let coverage = document::coverage(&judged.coverage);
            sentences.extend(coverage.into_iter().map(|(tone, text)| Sentence { tone, text }));
            sides.push(SideDiagnosed { side: *which, conclusion, sentences, positions: *positions });
            if conclusion == Conclusion::Faulty {
                faulty.extend(judged.faulty.iter().map(|node| faulty_node(*which, node)));
            }
        }
        Diagnosed { sentences: diagnose::sentences(found), sides, faulty, took: self.begun.elapsed() }
    }
}

fn faulty_node(side: Which, node: &FaultyNode) -> Faulty {
    let first = node.diagnoses.first();
    Faulty {
        side,
        checkpoint: node.checkpoint,
        positions: node.positions.clone(),
        worst_at: node.worst_at,
        sentence: document::mistake(node).1,
        mistake: first.map(|d| d.mistake.clone()),
        instrument: first.is_some_and(|d| d.instrument),
        evidence: document::evidence(node),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    format!("the diagnosis panicked: {}; please report this", safe(panic_text(panic)))
}
