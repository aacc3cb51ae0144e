//! The session's thread: reads both runs, drives engines, compares, publishes snapshots.

mod drive;
mod rerun;
mod steer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};

use self::rerun::CatchUp;
use super::breaks::Breaks;
use super::build::Builder;
use super::diagnosing::{Diagnosing, Subjects};
use super::plan::{Goal, Plan};
use super::setup::Setup;
use super::side::{Side, trace_path};
use super::tempo::Tempo;
use super::words::Words;
use super::{
    Command, Config, DiagnosisState, Feed, Focus, Link, Records, RunState, SessionError, Snapshot, Source,
    Stepping, TokenView, Tokens, Wanted, Which, cells, look,
};
use crate::compare::{Comparison, Verdict};
use crate::gguf::Gguf;
use crate::model::arch;
use crate::trace::Header;

/// Text read from one trace before commands are looked at again: about 10 ms of work.
const BUDGET: u64 = 4 << 20;
/// Shortest time between two snapshots while work goes on: a screen shows 60 a second at most.
const PUBLISH_EVERY: Duration = Duration::from_millis(16);
/// Looking at all positions together takes time that grows with their number; while engines run it
/// is done this often, beside what the comparison does by itself.
const SETTLE_EVERY: Duration = Duration::from_millis(250);

/// A running session.
#[derive(Debug)]
pub struct Session {
    link: Link,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    /// Opens the model and both sources and starts the session's thread.
    pub fn start(config: &Config) -> Result<Self, SessionError> {
        let (commands, inbox) = mpsc::channel(64);
        let wake = Arc::new(Notify::new());
        let mut state = State::new(config, &wake)?;
        let (outbox, snapshots) = watch::channel(Arc::new(state.snapshot(0)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(SessionError::system("cannot start the session"))?;
        let thread = std::thread::Builder::new()
            .name("session".into())
            .spawn(move || runtime.block_on(state.run(inbox, &outbox, &wake)))
            .map_err(SessionError::system("cannot start the session's thread"))?;
        Ok(Self { link: Link { snapshots, commands }, thread: Some(thread) })
    }

    /// A link for one more watcher.
    pub fn link(&self) -> Link {
        Link { snapshots: self.link.snapshots.clone(), commands: self.link.commands.clone() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A full queue is being worked off; the closed channel ends the session then.
        let _ = self.link.commands.try_send(Command::Quit);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Positions that engines are to be opened for, where somebody says so: the user, or a trace.
fn context(config: &Config) -> Option<usize> {
    let traces = [&config.reference, &config.candidate].into_iter().filter_map(trace_path);
    let mut headers = traces.filter_map(|path| Header::peek(path));
    config.context.or_else(|| headers.find_map(|header| header.settings.n_ctx).map(|n| n as usize))
}

struct State {
    model: String,
    gguf: Arc<Gguf>,
    /// Positions that engines are opened for.
    context: Option<usize>,
    wake: Arc<Notify>,
    reference: Side,
    candidate: Side,
    /// How the candidate was computed at first, and how it is now.
    start: Setup,
    setup: Setup,
    words: Words,
    plan: Plan,
    goal: Goal,
    feed: Feed,
    breaks: Breaks,
    tempo: Tempo,
    stepping: Arc<Stepping>,
    /// Where engines are to compute anew from, as soon as they are idle.
    redo: [Option<u32>; 2],
    /// The candidate is computed anew.
    catching_up: Option<CatchUp>,
    comparison: Comparison,
    tokens: Arc<Vec<TokenView>>,
    focus: Option<Wanted>,
    focused: Option<Arc<Focus>>,
    records: Arc<Records>,
    diagnosis: DiagnosisState,
    diagnosing: Option<Diagnosing>,
    message: Option<String>,
    /// Declared last, so that the sides stop writing before its folder goes.
    builder: Builder,
}

impl State {
    fn new(config: &Config, wake: &Arc<Notify>) -> Result<Self, SessionError> {
        let gguf = Arc::new(Gguf::open(&config.model)?);
        let words = Words::new(&gguf);
        let has_trace_tokens = trace_path(&config.reference).or(trace_path(&config.candidate)).is_some()
            || [&config.reference, &config.candidate].contains(&&Source::LlamaCpp);
        let prompt = match &config.tokens {
            Tokens::Prompt(text) => words.encode(text).map_err(SessionError::Usage)?,
            Tokens::Ids(ids) => ids.clone(),
            Tokens::FromTrace if has_trace_tokens => Vec::new(),
            Tokens::FromTrace => {
                return Err(SessionError::Usage(
                    "neither side has tokens: give --prompt TEXT, or a trace as --reference".into(),
                ));
            }
        };
        let computed = prompt.len() + config.generate as usize;
        let context = context(config).or((!prompt.is_empty()).then_some(computed));
        let graph = arch::graph_for(&gguf, arch::Context(context))?;
        if let Some(bad) = prompt.iter().find(|&&id| id as usize >= graph.n_vocab) {
            return Err(SessionError::Usage(format!(
                "token {bad} is not in the vocabulary of {}",
                graph.n_vocab
            )));
        }

        if let Some(fault) = config.faults.of_tokens() {
            return Err(SessionError::Usage(format!(
                "fault `{fault}` changes the prompt, which both sides share: record a run with `paritty trace \
                 --fault {fault}` and give that as a side"
            )));
        }
        if !config.faults.is_empty()
            && !matches!(config.candidate, Source::Cpu | Source::Oracle | Source::Cuda(_))
        {
            return Err(SessionError::Usage(
                "--fault needs an engine of ours as candidate: cpu, cuda or oracle".into(),
            ));
        }
        let setup = Setup::new(config);
        let mut builder = Builder::new(Arc::clone(&gguf), graph, config, context, wake)?;
        let name = gguf.opt_str("general.name").ok().flatten().map(str::to_owned);
        let stem = config.model.file_stem().map(|s| s.to_string_lossy().into_owned());
        let mut state = Self {
            model: crate::text::safe_short(&stem.or(name).unwrap_or_default(), 60),
            reference: builder.reference()?,
            candidate: builder.candidate(&setup)?,
            start: setup.clone(),
            setup,
            gguf: Arc::clone(&gguf),
            context,
            wake: Arc::clone(wake),
            words,
            plan: Plan::new(prompt, config.generate),
            goal: if config.running { Goal::Unlimited } else { Goal::Positions(0) },
            comparison: Comparison::new(),
            tokens: Arc::default(),
            focus: None,
            focused: None,
            records: Arc::default(),
            diagnosis: DiagnosisState::NotAsked,
            diagnosing: None,
            message: None,
            breaks: Breaks::default(),
            tempo: Tempo::default(),
            feed: Feed::default(),
            stepping: Arc::default(),
            redo: [None; 2],
            catching_up: None,
            builder,
        };
        // Traces that are none, unreadable folders and the like end the program here and not on the screen.
        let mut changed = BTreeSet::new();
        for side in [&mut state.reference, &mut state.candidate] {
            changed.append(&mut side.poll(BUDGET)?.changed);
        }
        state.compare(&changed);
        Ok(state)
    }

    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        outbox: &watch::Sender<Arc<Snapshot>>,
        wake: &Notify,
    ) {
        let mut revision = 1;
        let mut published = Instant::now();
        let mut settled = Instant::now();
        // Where looking at everything takes long, it is done more rarely: a tenth of the time at most.
        let mut settle_every = SETTLE_EVERY;
        let mut dirty = true;
        loop {
            let mut more = false;
            let mut changed = BTreeSet::new();
            for which in Which::BOTH {
                let side = match which {
                    Which::Reference => &mut self.reference,
                    Which::Candidate => &mut self.candidate,
                };
                let polled = side.poll(BUDGET);
                let arrivals = side.take_arrivals();
                if arrivals.1 > 0 {
                    Arc::make_mut(&mut self.records).add(which, arrivals, Instant::now());
                }
                match polled {
                    Ok(mut news) => {
                        if news.restarted {
                            if side.engine_ref().is_none() {
                                self.breaks.back(0, &Verdict::Pending);
                            }
                            self.comparison = Comparison::new();
                            self.focused = None;
                            self.tokens = Arc::default();
                            changed.extend(self.reference.store().positions());
                            changed.extend(self.candidate.store().positions());
                            self.message = Some(format!("the {which}'s trace was replaced: reading it anew"));
                        }
                        dirty |= news.touched || news.restarted;
                        more |= news.more;
                        changed.append(&mut news.changed);
                    }
                    Err(error) => {
                        dirty |= !side.is_over();
                        side.fail(&error);
                    }
                }
            }
            self.compare(&changed);
            dirty |= self.poll_diagnosis();
            dirty |= self.look_for_stops();
            let driven = self.drive();
            dirty |= driven;
            let done = !matches!(self.run_state(), RunState::Running);
            if !more && !driven && (done || settled.elapsed() >= settle_every) {
                let begun = Instant::now();
                dirty |= self.settle();
                settled = Instant::now();
                settle_every = SETTLE_EVERY.max(9 * (settled - begun));
            }

            let now = Instant::now();
            if dirty && (!more || now - published >= PUBLISH_EVERY) {
                self.refocus(Some(&changed));
                outbox.send_replace(Arc::new(self.snapshot(revision)));
                (revision, published, dirty) = (revision + 1, now, false);
            }

            let command = if more {
                inbox.try_recv().ok().map(Some)
            } else {
                let sleep = self.reference.patience().min(self.candidate.patience());
                let sleep = self.tempo.wait(Instant::now()).map_or(sleep, |wait| sleep.min(wait));
                tokio::select! {
                    biased;
                    command = inbox.recv() => Some(command),
                    () = wake.notified() => None,
                    () = tokio::time::sleep(sleep) => {
                        // Time passes for stalled sources.
                        dirty = true;
                        None
                    }
                }
            };
            match command {
                Some(None | Some(Command::Quit)) => return,
                Some(Some(command)) => {
                    self.obey(command);
                    dirty = true;
                }
                None => {}
            }
        }
    }

    fn compare(&mut self, changed: &BTreeSet<u32>) {
        if changed.is_empty() {
            return;
        }
        let positions: Vec<u32> = changed.iter().copied().collect();
        self.comparison.update(self.reference.store(), self.candidate.store(), &positions);
        let stores = [self.reference.store(), self.candidate.store()];
        let tokens = Arc::make_mut(&mut self.tokens);
        for &position in changed {
            let token = look::token(stores, position, |id| self.words.piece(id));
            match (tokens.binary_search_by_key(&position, |t| t.position), token) {
                (Ok(at), Some(token)) => tokens[at] = token,
                (Ok(at), None) => drop(tokens.remove(at)),
                (Err(at), Some(token)) => tokens.insert(at, token),
                (Err(_), None) => {}
            }
        }
    }

    /// Brings the verdict up to date. Says whether it changed.
    fn settle(&mut self) -> bool {
        let before = self.comparison.verdict();
        self.comparison.settle(self.reference.store(), self.candidate.store());
        !Arc::ptr_eq(&before, &self.comparison.verdict())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Step => self.step(),
            Command::Run => self.run_on(None),
            Command::Pause => self.pause(),
            Command::Back => self.back(),
            Command::Restart => {
                let restarted = [&mut self.reference, &mut self.candidate].map(Side::restart);
                self.message = match restarted {
                    [Ok(false), Ok(false)] => {
                        Some("no engine has failed: there is nothing to start anew".into())
                    }
                    [Err(error), _] | [_, Err(error)] => Some(error.to_string()),
                    _ => Some("started anew".into()),
                };
            }
            Command::Focus(wanted) => {
                self.focus = Some(wanted);
                self.refocus(None);
            }
            Command::Diagnose => self.diagnose(),
            Command::CancelDiagnosis => {
                if self.diagnosing.take().is_some() {
                    self.diagnosis = DiagnosisState::Cancelled;
                }
            }
            Command::RunUntil(stop) => self.run_on(Some(stop)),
            Command::Breakpoints(points) => self.breaks.points = points,
            Command::Speed(speed) => self.limit_speed(speed),
            Command::Feed(feed) => self.feed_by(feed),
            Command::Rerun(change) => self.rerun(&change),
            Command::Quit => {}
        }
    }

    /// Starts a diagnosis, unless one is being made.
    fn diagnose(&mut self) {
        if self.diagnosing.is_some() {
            self.message = Some("a diagnosis is being made".into());
            return;
        }
        let trace = |side: &Side| (side.store().path().to_owned(), side.store().bytes());
        let subjects = Subjects {
            gguf: Arc::clone(&self.gguf),
            context: self.context,
            traces: [trace(&self.reference), trace(&self.candidate)],
        };
        match Diagnosing::start(subjects, &self.wake) {
            Ok(diagnosing) => self.diagnosing = Some(diagnosing),
            Err(error) => self.diagnosis = DiagnosisState::Failed(format!("cannot start a thread: {error}")),
        }
    }

    /// The candidate is another one: what was found out about the one before is void.
    fn forget_diagnosis(&mut self) {
        let running = self.diagnosing.take().is_some();
        self.diagnosis = if running { DiagnosisState::Cancelled } else { DiagnosisState::NotAsked };
    }

    /// Takes in how far the diagnosis is. Says whether that changed.
    fn poll_diagnosis(&mut self) -> bool {
        let Some(state) = self.diagnosing.as_ref().and_then(Diagnosing::poll) else { return false };
        if !matches!(state, DiagnosisState::Running { .. }) {
            self.diagnosing = None;
        }
        self.diagnosis = state;
        true
    }

    /// Reads the cell under the cursor again: if it is among those that changed, or at any rate.
    fn refocus(&mut self, changed: Option<&BTreeSet<u32>>) {
        let Some(wanted) = self.focus else { return };
        let column = cells::column(&self.comparison, wanted.position);
        let same = |focused: &Focus| focused.severity == cells::severity(column, wanted.checkpoint);
        let elsewhere = changed.is_some_and(|changed| !changed.contains(&wanted.position));
        // A look at all positions together may change a severity without a change of the position.
        if elsewhere && self.focused.as_deref().is_some_and(same) {
            return;
        }
        let stores = [self.reference.store(), self.candidate.store()];
        let piece = |id| self.words.piece(id);
        let before = self.focused.as_deref();
        self.focused = Some(Arc::new(look::focus(stores, &self.comparison, wanted, before, piece)));
    }

    fn snapshot(&mut self, revision: u64) -> Snapshot {
        self.refresh_stepping();
        let run = self.run_state();
        let (finished, running) = (run == RunState::Finished, run == RunState::Running);
        let limit = (!self.plan.is_empty()).then(|| self.plan.limit());
        Snapshot {
            revision,
            model: self.model.clone(),
            reference: self.reference.status(finished, running, limit),
            candidate: self.candidate.status(finished, running, limit),
            tokens: Arc::clone(&self.tokens),
            rows: self.comparison.rows(),
            columns: self.comparison.columns().to_vec(),
            verdict: self.comparison.verdict(),
            run,
            step: self.candidate.engine_ref().map_or_else(
                || self.candidate.store().position_count() as u32,
                super::driver::Driver::ordered,
            ),
            stepping: Arc::clone(&self.stepping),
            focus: self.focused.clone(),
            records: Arc::clone(&self.records),
            diagnosis: self.diagnosis.clone(),
            message: self.message.clone(),
        }
    }
}
