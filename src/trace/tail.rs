//! Following a growing trace: file-system events as a hint, a timer as the guarantee.

use std::path::Path;
use std::time::Duration;

use super::store::Progress;
use super::{Store, TraceError};

/// Whether a followed trace still grows.
#[derive(Clone, Debug, PartialEq)]
pub enum Liveness {
    /// The file is not there yet, or holds nothing yet.
    Waiting,
    /// It grew lately.
    Live,
    /// It has not grown for this long and has not ended.
    Stalled(Duration),
    /// The terminating line was read.
    Ended,
}

/// A store together with a watch on its file.
pub struct Follow {
    _private: (),
}

impl Follow {
    /// Watches `path` (and its folder, so that a late or replaced file is noticed). `wake` is called
    /// from another thread when there may be something to read; it must be quick.
    pub fn open(_path: &Path, _wake: impl Fn() + Send + Sync + 'static) -> Result<Self, TraceError> {
        todo!()
    }

    /// Reads on; see [`Store::advance`].
    pub fn poll(&mut self, _budget: u64) -> Result<Progress, TraceError> {
        todo!()
    }

    /// The index.
    pub fn store(&self) -> &Store {
        todo!()
    }

    /// Whether it still grows.
    pub fn liveness(&self) -> Liveness {
        todo!()
    }

    /// How long to sleep at most before the next [`Follow::poll`] when nothing wakes us.
    pub fn patience(&self) -> Duration {
        todo!()
    }
}
