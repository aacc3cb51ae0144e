//! How a screen and a session hold hands: snapshots one way, commands the other.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{Command, Snapshot};

/// A screen's end of a session.
#[derive(Debug)]
pub struct Link {
    /// Always holds the newest snapshot. Closed when the session is gone.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Bounded: a screen uses `try_send`, so that keys never block.
    pub commands: mpsc::Sender<Command>,
}
