//! The session's thread: reads both runs, drives engines, compares, publishes snapshots.

mod drive;
mod rerun;
mod steer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, watch};

use self::rerun::CatchUp;
use super::breaks::Breaks;
use super::build::Builder;
use super::diagnosing::{Diagnosing, Subjects};
use super::judging::Judging;
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

/// Text read from one trace before commands are looked at again: some milliseconds of work.
const BUDGET: u64 = 1 << 19;
/// Time spent on comparing before commands are looked at again.
const SLICE: Duration = Duration::from_millis(6);
/// Shortest time between two snapshots while work goes on: a screen shows 60 a second at most.
const PUBLISH_EVERY: Duration = Duration::from_millis(16);

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
    judging: Judging,
    /// Positions that changed and are yet to be compared.
    due: BTreeSet<u32>,
    /// How many are compared between two looks at the clock.
    at_once: usize,
    /// Grows with whatever is read, compared or judged.
    work: u64,
    tokens: Arc<Vec<TokenView>>,
    focus: Option<Wanted>,
    focused: Option<Arc<Focus>>,
    /// Whether the focus is to be read again whatever changed, and which positions changed.
    asked: bool,
    fresh: BTreeSet<u32>,
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
            judging: Judging::new(wake),
            due: BTreeSet::new(),
            at_once: 1,
            work: 0,
            tokens: Arc::default(),
            focus: None,
            focused: None,
            asked: false,
            fresh: BTreeSet::new(),
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
        for side in [&mut state.reference, &mut state.candidate] {
            state.due.append(&mut side.poll(BUDGET)?.changed);
        }
        state.compare();
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
        let mut dirty = true;
        loop {
            let (unread, news) = self.read();
            dirty |= news | self.compare();
            let stores = [self.reference.store(), self.candidate.store()];
            dirty |= self.judging.poll(&mut self.comparison, stores);
            dirty |= self.poll_diagnosis();
            dirty |= self.look_for_stops();
            let driven = self.drive();
            dirty |= driven;
            let more = unread || !self.due.is_empty();
            if self.wants_settling(more || driven) {
                dirty |= self.settle();
            }

            let now = Instant::now();
            if dirty && (!more || self.asked || now - published >= PUBLISH_EVERY) {
                self.refocus();
                outbox.send_replace(Arc::new(self.snapshot(revision)));
                (revision, published, dirty) = (revision + 1, now, false);
            }

            let first = if more {
                None
            } else {
                let sleep = self.reference.patience().min(self.candidate.patience());
                let rest = self.judging.wait().filter(|_| !self.comparison.is_settled());
                let due = [rest, self.tempo.wait(Instant::now())];
                let sleep = due.into_iter().flatten().fold(sleep, Duration::min);
                tokio::select! {
                    biased;
                    command = inbox.recv() => match command {
                        None => return,
                        command => command,
                    },
                    () = wake.notified() => None,
                    () = tokio::time::sleep(sleep) => {
                        // Time passes for stalled sources.
                        dirty = true;
                        None
                    }
                }
            };
            // Whatever else waits is taken along: what was asked last is read once.
            let mut next = first.map_or_else(|| inbox.try_recv(), Ok);
            loop {
                match next {
                    Ok(Command::Quit) | Err(TryRecvError::Disconnected) => return,
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                }
                dirty = true;
                next = inbox.try_recv();
            }
        }
    }

    /// Reads on in both traces. Says whether there is more to read at once, and whether there was anything.
    fn read(&mut self) -> (bool, bool) {
        let (mut more, mut dirty) = (false, false);
        for which in Which::BOTH {
            let side = self.side_mut(which);
            let before = side.store().bytes();
            let polled = side.poll(BUDGET);
            let read = side.store().bytes().abs_diff(before);
            let arrivals = side.take_arrivals();
            self.work += read;
            if arrivals.1 > 0 {
                Arc::make_mut(&mut self.records).add(which, arrivals, Instant::now());
            }
            match polled {
                Ok(mut news) => {
                    if news.restarted {
                        if self.side(which).engine_ref().is_none() {
                            self.breaks.back(0, &Verdict::Pending);
                        }
                        self.forget_compared();
                        self.message = Some(format!("the {which}'s trace was replaced: reading it anew"));
                    }
                    dirty |= news.touched || news.restarted;
                    more |= news.more;
                    self.due.append(&mut news.changed);
                }
                Err(error) => {
                    let side = self.side_mut(which);
                    dirty |= !side.is_over();
                    side.fail(&error);
                }
            }
        }
        (more, dirty)
    }

    /// What was compared is void: everything that is there is to be compared again.
    fn forget_compared(&mut self) {
        self.comparison = Comparison::new();
        self.focused = None;
        self.tokens = Arc::default();
        self.due.extend(self.reference.store().positions());
        self.due.extend(self.candidate.store().positions());
    }

    /// Compares positions that changed, the first ones first, for as long as commands may wait. Says whether
    /// there were any.
    fn compare(&mut self) -> bool {
        let begun = Instant::now();
        let mut before = begun;
        while !self.due.is_empty() {
            let positions: Vec<u32> = self.due.iter().copied().take(self.at_once).collect();
            self.comparison.take_in(self.reference.store(), self.candidate.store(), &positions);
            self.take_tokens(&positions);
            for position in &positions {
                self.due.remove(position);
            }
            self.work += positions.len() as u64;
            self.fresh.extend(positions);
            // The time of one differs a thousandfold from model to model.
            let now = Instant::now();
            if 4 * (now - before) < SLICE {
                self.at_once = (2 * self.at_once).min(1024);
            } else if 2 * (now - before) > SLICE {
                self.at_once = (self.at_once / 2).max(1);
            }
            before = now;
            if now - begun >= SLICE / 2 {
                break;
            }
        }
        before != begun
    }

    fn take_tokens(&mut self, positions: &[u32]) {
        let stores = [self.reference.store(), self.candidate.store()];
        let tokens = Arc::make_mut(&mut self.tokens);
        for &position in positions {
            let token = look::token(stores, position, |id| self.words.piece(id));
            match (tokens.binary_search_by_key(&position, |t| t.position), token) {
                (Ok(at), Some(token)) => tokens[at] = token,
                (Ok(at), None) => drop(tokens.remove(at)),
                (Err(at), Some(token)) => tokens.insert(at, token),
                (Err(_), None) => {}
            }
        }
    }

    /// Whether all positions are to be judged together now.
    fn wants_settling(&self, busy: bool) -> bool {
        if self.comparison.is_settled() {
            return false;
        }
        let rested = self.judging.wait().is_none();
        let idle = || !busy && (rested || self.run_state() != RunState::Running);
        self.is_settling_due() || if Judging::is_quick(&self.comparison) { idle() } else { rested }
    }

    /// Whether nothing is to be concluded before all positions are judged together.
    fn is_settling_due(&self) -> bool {
        let (a, b) = (self.reference.store(), self.candidate.store());
        self.comparison.is_urgent(a, b)
            || (Judging::is_quick(&self.comparison) && self.comparison.is_due(a, b))
    }

    /// Sees to it that all positions are judged together. Says whether they are by now.
    fn settle(&mut self) -> bool {
        let stores = [self.reference.store(), self.candidate.store()];
        self.judging.settle(&mut self.comparison, stores)
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
                self.asked = true;
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

    /// Reads the cell under the cursor again, if it is among those that changed or was just asked for.
    fn refocus(&mut self) {
        let (asked, fresh) = (std::mem::take(&mut self.asked), std::mem::take(&mut self.fresh));
        let Some(wanted) = self.focus else { return };
        let column = cells::column(&self.comparison, wanted.position);
        // A look at all positions together may change a severity without a change of the position.
        let same = |focused: &Focus| focused.severity == cells::severity(column, wanted.checkpoint);
        if !asked && !fresh.contains(&wanted.position) && self.focused.as_deref().is_some_and(same) {
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
            work: self.work,
            settled: self.due.is_empty() && self.comparison.is_settled(),
            model: self.model.clone(),
            reference: self.reference.status(&self.due, finished, running, limit),
            candidate: self.candidate.status(&self.due, finished, running, limit),
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
