//! The pass over a trace: lines are found by one thread while all others read and judge the values of
//! the lines before.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::repeated::Repeated;
use super::result::Analysis;
use crate::compare::cell::is_per_position;
use crate::export::{ExportError, Row, Take};
use crate::garbage::{Finding, Look, Sample, Watch, inspect, visible};
use crate::model::Checkpoint;
use crate::stats::{Summary, argmax};
use crate::trace::{Batch, Entry, Event, Stream, Tensor, TraceError};

/// Values that are held at once while they are handed on.
const PART: u64 = 4 << 20;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Statistics by checkpoint.
    pub stats: bool,
}

/// Why a pass was not ended.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// The trace could not be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// What takes the values failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Somebody wanted it to end.
    #[error("interrupted")]
    Interrupted,
}

/// Told bytes of text done and in all; false ends the pass.
pub type Progress<'a> = &'a mut (dyn FnMut(u64, u64) -> bool + Send);

/// A pass over one trace.
pub struct Analyzer {
    options: Options,
    workers: Vec<Worker>,
    watch: Watch,
    repeated: Repeated,
    /// Tokens by position; `u32::MAX` where there is none.
    tokens: Vec<u32>,
    analysis: Analysis,
}

/// Buffers and counts of one thread.
#[derive(Default)]
struct Worker {
    tensor: Tensor,
    visible: Tensor,
    stats: BTreeMap<Checkpoint, Summary>,
    seen: Vec<Seen>,
    /// Values of `seen`, one after another, if somebody takes them.
    values: Vec<f32>,
}

/// One record, looked at.
struct Seen {
    look: Look,
    position: u32,
    /// Values that its shape promises.
    full: u64,
    findings: Vec<Finding>,
    top: Option<u32>,
    /// Why its values could not be read.
    problem: Option<String>,
    /// Its shape and number of values in [`Worker::values`], if somebody takes them.
    shape: Vec<u32>,
    held: usize,
}

impl Analyzer {
    /// Nothing looked at yet.
    pub fn new(options: Options) -> Self {
        let threads = rayon::current_num_threads().max(1);
        Self {
            options,
            workers: std::iter::repeat_with(Worker::default).take(threads).collect(),
            watch: Watch::default(),
            repeated: Repeated::default(),
            tokens: Vec::new(),
            analysis: Analysis::default(),
        }
    }

    /// Passes over the trace at `path` (`-`: standard input) and hands every record to all of `take`.
    pub fn run(
        mut self,
        path: &Path,
        take: &mut [Box<dyn Take>],
        progress: Progress<'_>,
    ) -> Result<Analysis, AnalyzeError> {
        let mut stream = Stream::open(path)?;
        let (mut now, mut next) = (Batch::default(), Batch::default());
        let mut more = stream.next(&mut now)?;
        while more {
            let (done, all) = stream.progress();
            let (found, judged) =
                rayon::join(|| stream.next(&mut next), || self.batch(&now, take, done, all, progress));
            judged?;
            more = found?;
            std::mem::swap(&mut now, &mut next);
        }
        self.analysis.describe(&stream);
        for worker in &mut self.workers {
            for (checkpoint, summary) in std::mem::take(&mut worker.stats) {
                self.analysis.stats.entry(checkpoint).or_default().0.merge(&summary);
            }
        }
        let again = (path != Path::new("-")).then_some(path);
        self.repeated.settle(again, &mut self.analysis);
        self.analysis.conclude(&self.watch);
        Ok(self.analysis)
    }

    fn batch(
        &mut self,
        batch: &Batch,
        take: &mut [Box<dyn Take>],
        done: u64,
        all: u64,
        progress: Progress<'_>,
    ) -> Result<(), AnalyzeError> {
        let mut from = 0;
        while from < batch.events.len() {
            let mut values = 0;
            let mut to = from;
            while to < batch.events.len() && (to == from || values < PART) {
                if let Event::Tensor(entry) = &batch.events[to] {
                    values += u64::from(entry.len) + 16;
                }
                to += 1;
            }
            self.part(batch, &batch.events[from..to], values, take)?;
            from = to;
            if !progress(done, all) {
                return Err(AnalyzeError::Interrupted);
            }
        }
        Ok(())
    }

    fn part(
        &mut self,
        batch: &Batch,
        events: &[Event],
        values: u64,
        take: &mut [Box<dyn Take>],
    ) -> Result<(), AnalyzeError> {
        let options = self.options;
        let hold = !take.is_empty();
        let shares = shares(events, values.div_ceil(self.workers.len() as u64), self.workers.len());
        self.workers.par_iter_mut().zip(&shares).for_each(|(worker, share)| {
            worker.seen.clear();
            worker.values.clear();
            for event in &events[share.clone()] {
                if let Event::Tensor(entry) = event {
                    worker.look(batch, entry, options, hold);
                }
            }
        });
        for (worker, share) in self.workers.iter_mut().zip(shares) {
            let mut seen = worker.seen.iter_mut();
            let mut held = 0;
            for event in &events[share] {
                match event {
                    Event::Header => {
                        self.analysis.runs += 1;
                        // Another run in the same file: nothing of it repeats what was before.
                        std::mem::take(&mut self.repeated).settle(None, &mut self.analysis);
                        self.analysis.conclude(&std::mem::take(&mut self.watch));
                        self.tokens.clear();
                        take.iter_mut().try_for_each(|t| t.begin())?;
                    }
                    Event::Token(position, token) => {
                        let at = *position as usize;
                        if self.tokens.len() <= at {
                            self.tokens.resize(at + 1, u32::MAX);
                        }
                        self.tokens[at] = token.id;
                    }
                    Event::Tensor(entry) => {
                        let Some(seen) = seen.next() else { continue };
                        if let Some(problem) = seen.problem.take() {
                            self.analysis.unreadable(entry.line, problem);
                            continue;
                        }
                        let tokens = &self.tokens;
                        let token = |p: u32| tokens.get(p as usize).copied().filter(|t| *t != u32::MAX);
                        let repeat = self.watch.observe(&seen.look, seen.position, &mut seen.findings, token);
                        self.repeated.take(seen.position, repeat, &mut seen.findings);
                        let row = Row {
                            position: seen.position,
                            checkpoint: seen.look.checkpoint,
                            shape: &seen.shape,
                            values: &worker.values[held..held + seen.held],
                        };
                        for take in take.iter_mut() {
                            take.take(&row)?;
                        }
                        held += seen.held;
                        if options.stats {
                            self.analysis.stats.entry(seen.look.checkpoint).or_default().1.add(seen.top);
                        }
                        let findings = std::mem::take(&mut seen.findings);
                        self.analysis.add(&seen.look, seen.position, seen.full, findings);
                    }
                    Event::Rewind(position) => {
                        self.analysis.rewinds += 1;
                        take.iter_mut().try_for_each(|t| t.rewind(*position))?;
                    }
                    Event::Complete(_) | Event::End => {}
                }
            }
        }
        Ok(())
    }
}

/// Neighbouring events for each of `n` threads, with about `each` values.
fn shares(events: &[Event], each: u64, n: usize) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::with_capacity(n);
    let mut from = 0;
    for i in 0..n {
        let mut to = from;
        let mut values = 0;
        while to < events.len() && (values < each || i + 1 == n) {
            if let Event::Tensor(entry) = &events[to] {
                values += u64::from(entry.len) + 16;
            }
            to += 1;
        }
        out.push(from..to);
        from = to;
    }
    out
}

impl Worker {
    fn look(&mut self, batch: &Batch, entry: &Entry, options: Options, hold: bool) {
        let read: Result<u32, TraceError> = batch.read(entry, &mut self.tensor);
        let tensor = if is_per_position(entry.checkpoint.site()) {
            visible(&self.tensor, entry.position, &mut self.visible);
            &self.visible
        } else {
            &self.tensor
        };
        let mut sample = Sample::new(entry.checkpoint, tensor);
        let problem = match read {
            Ok(beyond) => {
                sample.beyond_range = beyond;
                None
            }
            Err(error) => Some(error.to_string()),
        };
        let values = &tensor.values;
        if options.stats && problem.is_none() {
            self.stats.entry(entry.checkpoint).or_default().add(values);
        }
        let held = if hold { values.len() } else { 0 };
        self.values.extend_from_slice(&values[..held]);
        self.seen.push(Seen {
            look: Look::of(&sample),
            position: entry.position,
            full: entry.full_len() as u64,
            findings: if problem.is_none() { inspect(&sample) } else { Vec::new() },
            top: if options.stats { argmax(values) } else { None },
            problem,
            shape: if hold { tensor.shape.clone() } else { Vec::new() },
            held,
        });
    }
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").field("options", &self.options).finish_non_exhaustive()
    }
}
