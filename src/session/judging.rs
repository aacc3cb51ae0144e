//! Judging all positions together without holding up the session: a small run at once, a large one on a
//! thread of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::compare::{Comparison, Settled};
use crate::trace::Store;

/// Cells that are judged at once: some 10 ms.
const AT_ONCE: usize = 50_000;
/// Looking at all positions takes time that grows with their number; while engines run it is done this
/// often, beside what is due.
const EVERY: Duration = Duration::from_millis(250);

/// A look at all positions in the making, and when the next is worth its time.
#[derive(Debug)]
pub(super) struct Judging {
    running: Option<(Receiver<Settled>, Instant)>,
    last: Instant,
    every: Duration,
    wake: Arc<Notify>,
}

impl Judging {
    /// None so far. `wake` is told when one is done.
    pub fn new(wake: &Arc<Notify>) -> Self {
        Self { running: None, last: Instant::now(), every: EVERY, wake: Arc::clone(wake) }
    }

    /// How long until another look that nobody waits for is worth its time; `None`: it is now.
    pub fn wait(&self) -> Option<Duration> {
        let since = self.last.elapsed();
        self.every.checked_sub(since).filter(|wait| !wait.is_zero())
    }

    /// Whether a look takes no time worth mentioning.
    pub fn is_quick(comparison: &Comparison) -> bool {
        comparison.columns().len() * comparison.rows().len() <= AT_ONCE
    }

    /// Sees to it that all positions are judged together. Says whether they are now.
    pub fn settle(&mut self, comparison: &mut Comparison, stores: [&Store; 2]) -> bool {
        if comparison.is_settled() || self.running.is_some() {
            return comparison.is_settled();
        }
        let begun = Instant::now();
        if !Self::is_quick(comparison) {
            let Some(settling) = comparison.settling(stores[0], stores[1]) else { return false };
            let (sender, receiver) = channel();
            let wake = Arc::clone(&self.wake);
            let thread = std::thread::Builder::new().name("judging".into()).spawn(move || {
                // The session may be gone already.
                let _ = sender.send(settling.run());
                wake.notify_one();
            });
            if thread.is_ok() {
                self.running = Some((receiver, begun));
                return false;
            }
        }
        comparison.settle(stores[0], stores[1]);
        self.rest(begun);
        true
    }

    /// Takes in what was found. Says whether anything was.
    pub fn poll(&mut self, comparison: &mut Comparison, stores: [&Store; 2]) -> bool {
        let Some((receiver, begun)) = &self.running else { return false };
        let (found, begun) = (receiver.try_recv(), *begun);
        match found {
            Err(TryRecvError::Empty) => return false,
            Ok(found) => comparison.settled(found),
            // It panicked: here, that is reported.
            Err(TryRecvError::Disconnected) => comparison.settle(stores[0], stores[1]),
        }
        self.running = None;
        self.rest(begun);
        true
    }

    /// Where a look takes long, it is taken more rarely: a tenth of the time at most.
    fn rest(&mut self, begun: Instant) {
        self.last = Instant::now();
        self.every = EVERY.max(9 * (self.last - begun));
    }
}
