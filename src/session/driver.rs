//! An engine on its own thread: takes orders, writes a trace, reports after each.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::Notify;

use crate::engine::worker::{Graft, Worker};
use crate::trace::Token;

/// What an engine is told.
#[derive(Debug)]
enum Order {
    /// Compute the next position, with these checkpoints given.
    Step(Token, Vec<Graft>),
    /// Forget positions from this one on.
    Rewind(u32),
}

/// What an engine answers.
#[derive(Debug)]
enum Report {
    /// A position is computed; the most likely next token, if the worker knows it.
    Stepped(Option<u32>),
    /// Positions were forgotten.
    Rewound,
    /// It cannot go on.
    Failed(String),
}

/// A driven engine. Dropping it ends the thread after the step in hand.
#[derive(Debug)]
pub struct Driver {
    orders: Option<SyncSender<Order>>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    /// Tokens of the positions that the engine has or is computing.
    fed: Vec<u32>,
    /// The token that it would choose behind each position that is computed.
    choices: Vec<Option<u32>>,
    busy: bool,
    failure: Option<String>,
    stop: Arc<AtomicBool>,
}

impl Driver {
    /// Starts the thread. `open` builds the worker there, since loading may take long; it is given a
    /// flag that becomes true when nobody waits for it any more.
    pub fn start(
        name: &str,
        wake: Arc<Notify>,
        open: impl FnOnce(Arc<AtomicBool>) -> Result<Box<dyn Worker>, String> + Send + 'static,
    ) -> std::io::Result<Self> {
        // One order at a time: the next token may depend on the answer.
        let (orders, inbox) = sync_channel(1);
        let (outbox, reports) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| serve(|| open(flag), &inbox, &outbox, &wake)));
            let failure = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(panic) => format!("the engine panicked: {}", panic_text(panic.as_ref())),
            };
            // The session may be gone already.
            let _ = outbox.send(Report::Failed(failure));
            wake.notify_one();
        })?;
        Ok(Self {
            orders: Some(orders),
            reports,
            thread: Some(thread),
            fed: Vec::new(),
            choices: Vec::new(),
            busy: false,
            failure: None,
            stop,
        })
    }

    /// Takes in what the engine reported. Call before the questions below.
    pub fn poll(&mut self) {
        loop {
            match self.reports.try_recv() {
                Ok(Report::Stepped(next)) => {
                    self.busy = false;
                    self.choices.push(next);
                }
                Ok(Report::Rewound) => self.busy = false,
                Ok(Report::Failed(text)) => {
                    self.busy = false;
                    self.failure = Some(text);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Whether it can take an order.
    pub fn is_idle(&self) -> bool {
        !self.busy && self.failure.is_none()
    }

    /// Why it cannot go on.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Positions that it has computed or is computing.
    pub fn ordered(&self) -> u32 {
        self.fed.len() as u32
    }

    /// Positions that it has computed.
    pub fn computed(&self) -> u32 {
        self.choices.len() as u32
    }

    /// Tokens that it was given, by position.
    pub fn fed(&self) -> &[u32] {
        &self.fed
    }

    /// The token that it would choose for `position`, if it said so when it computed the one before.
    pub fn choice(&self, position: u32) -> Option<u32> {
        *self.choices.get(position.checked_sub(1)? as usize)?
    }

    /// Orders the next position, with these checkpoints given. Only when idle.
    pub fn step(&mut self, token: Token, grafts: Vec<Graft>) {
        self.fed.push(token.id);
        self.send(Order::Step(token, grafts));
    }

    /// Orders that positions from `position` on be forgotten. Only when idle.
    pub fn rewind(&mut self, position: u32) {
        self.send(Order::Rewind(position));
        self.fed.truncate(position as usize);
        self.choices.truncate(position as usize);
    }

    fn send(&mut self, order: Order) {
        debug_assert!(self.is_idle());
        self.busy = true;
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if !sent && self.failure.is_none() {
            self.busy = false;
            self.failure = Some("the engine's thread has ended".into());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.orders = None;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic was reported already.
            let _ = thread.join();
        }
    }
}

fn serve(
    open: impl FnOnce() -> Result<Box<dyn Worker>, String>,
    inbox: &Receiver<Order>,
    outbox: &Sender<Report>,
    wake: &Notify,
) -> Result<(), String> {
    let mut worker = open()?;
    wake.notify_one();
    while let Ok(order) = inbox.recv() {
        let report = match order {
            Order::Step(token, grafts) => {
                grafts.into_iter().try_for_each(|graft| worker.graft(graft))?;
                Report::Stepped(worker.step(&token)?)
            }
            Order::Rewind(position) => {
                worker.rewind(position)?;
                Report::Rewound
            }
        };
        if outbox.send(report).is_err() {
            break;
        }
        wake.notify_one();
    }
    worker.end()
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
