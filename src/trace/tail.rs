//! Following a growing trace: file-system events as a hint, a timer as the guarantee.
//!
//! Events come late, come in heaps or not at all (network file systems, exhausted inotify limits),
//! so nothing depends on them: [`Follow::patience`] says when to look again regardless.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::source::probe;
use super::store::Progress;
use super::{Arrival, Store, TraceError};

/// Without growth for this long a trace counts as stalled: several times what a large model on a
/// slow machine needs for a token, and still short for somebody who waits.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// The first wait after something was read; each empty look doubles it.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The longest wait: what somebody has to wait at most where no events come.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait after the end of a trace whose folder is watched: it may still be replaced by another run,
/// and that is told unless the file system tells nothing.
const ENDED_WAIT: Duration = Duration::from_secs(10);

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
    store: Store,
    wake: Arc<dyn Fn() + Send + Sync>,
    watch: Watch,
    last_look: Instant,
    last_growth: Instant,
    /// Looks in a row that found nothing new.
    empty_looks: u32,
    /// Whether the last look left something unread.
    behind: bool,
    /// Bytes of text and sidecar that were there at the last look.
    extent: u64,
}

/// The watch on the trace's folder.
enum Watch {
    /// The folder is not there yet.
    Pending,
    /// Events come.
    On(#[allow(dead_code, reason = "dropping it would end the watch")] RecommendedWatcher),
    /// The system cannot watch it; only the timer is left.
    Impossible,
}

impl Follow {
    /// Watches `path` (and its folder, so that a late or replaced file is noticed). `wake` is called
    /// from another thread when there may be something to read; it must be quick.
    ///
    /// Fails when `path` is there and is no readable file.
    pub fn open(path: &Path, wake: impl Fn() + Send + Sync + 'static) -> Result<Self, TraceError> {
        probe(path)?;
        let now = Instant::now();
        let mut follow = Self {
            store: Store::new(path),
            wake: Arc::new(wake),
            watch: Watch::Pending,
            last_look: now,
            last_growth: now,
            empty_looks: 0,
            behind: true,
            extent: 0,
        };
        follow.watch_folder();
        Ok(follow)
    }

    /// Reads on; see [`Store::advance`]. Never waits for anything to happen.
    pub fn poll(&mut self, budget: u64) -> Result<Progress, TraceError> {
        self.poll_at(budget, Instant::now())
    }

    fn poll_at(&mut self, budget: u64, now: Instant) -> Result<Progress, TraceError> {
        self.watch_folder();
        self.last_look = now;
        // After an error we are not behind: whatever is wrong is looked at again later.
        self.behind = false;
        self.empty_looks = self.empty_looks.saturating_add(1);
        let progress = self.store.advance(budget)?;
        self.behind = !progress.at_end;
        let extent = self.store.extent();
        if progress.bytes > 0 || progress.restarted || !progress.changed.is_empty() || extent != self.extent {
            self.extent = extent;
            self.last_growth = now;
            self.empty_looks = 0;
        }
        Ok(progress)
    }

    /// See [`Store::keep_arrivals`].
    pub fn keep_arrivals(&mut self, room: usize) {
        self.store.keep_arrivals(room);
    }

    /// See [`Store::take_arrivals`].
    pub fn take_arrivals(&mut self) -> (VecDeque<Arrival>, u64) {
        self.store.take_arrivals()
    }

    /// The index.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether it still grows, as of the last [`Follow::poll`].
    pub fn liveness(&self) -> Liveness {
        let quiet = self.last_look.duration_since(self.last_growth);
        if self.store.bytes() == 0 {
            Liveness::Waiting
        } else if self.store.has_ended() && !self.behind {
            Liveness::Ended
        } else if quiet >= STALLED_AFTER && !self.behind {
            Liveness::Stalled(quiet)
        } else {
            Liveness::Live
        }
    }

    /// How long to sleep at most before the next [`Follow::poll`] when nothing wakes us: nothing
    /// while there is more to read, then longer and longer.
    pub fn patience(&self) -> Duration {
        if self.behind {
            Duration::ZERO
        } else if self.store.has_ended() {
            if matches!(self.watch, Watch::On(_)) { ENDED_WAIT } else { LONGEST_WAIT }
        } else {
            SHORTEST_WAIT.saturating_mul(1 << self.empty_looks.min(10)).min(LONGEST_WAIT)
        }
    }

    /// Begins to watch the folder as soon as there is one.
    fn watch_folder(&mut self) {
        let folder = folder_of(self.store.path());
        if !matches!(self.watch, Watch::Pending) || !folder.is_dir() {
            return;
        }
        let wake = Arc::clone(&self.wake);
        let stem = self.store.path().file_stem().map(OsStr::to_owned);
        // A new watcher each time: one that already had a watch could be inside `wake`, which may
        // wait for the very thread that is here waiting for the watcher.
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| concerns(&event, stem.as_deref())) {
                wake();
            }
        });
        let watched = watcher.and_then(|mut watcher| {
            watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        self.watch = watched.map_or(Watch::Impossible, Watch::On);
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("path", &self.store.path())
            .field("liveness", &self.liveness())
            .finish_non_exhaustive()
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether an event may mean that the trace or its sidecar, which share a stem, changed. Our own
/// opening and reading is reported too and must not wake us.
fn concerns(event: &Event, stem: Option<&OsStr>) -> bool {
    let reading =
        matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    !reading && (event.need_rescan() || event.paths.iter().any(|path| path.file_stem() == stem))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    const RECORD: &str = "{\"checkpoint\":\"logits\",\"token_idx\":0,\"values\":[1,2]}\n";

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// A clock that only moves when told to.
    struct Clock(Instant);

    impl Clock {
        fn after(&mut self, milliseconds: u64) -> Instant {
            self.0 += Duration::from_millis(milliseconds);
            self.0
        }
    }

    #[test]
    fn a_trace_waits_lives_stalls_revives_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("late").join("t.jsonl");
        let mut follow = Follow::open(&path, || {}).unwrap();
        let mut clock = Clock(follow.last_look);
        assert!(follow.poll_at(u64::MAX, clock.after(5000)).unwrap().at_end);
        assert_eq!(follow.liveness(), Liveness::Waiting);
        assert!(matches!(follow.watch, Watch::Pending));

        fs::create_dir(path.parent().unwrap()).unwrap();
        append(&path, "");
        follow.poll_at(u64::MAX, clock.after(10)).unwrap();
        assert!(!matches!(follow.watch, Watch::Pending), "the folder that came late is watched");
        assert_eq!(follow.liveness(), Liveness::Waiting);

        append(&path, RECORD);
        assert_eq!(follow.poll_at(u64::MAX, clock.after(10)).unwrap().changed, [0]);
        assert_eq!(follow.liveness(), Liveness::Live);
        follow.poll_at(u64::MAX, clock.after(1999)).unwrap();
        assert_eq!(follow.liveness(), Liveness::Live);
        follow.poll_at(u64::MAX, clock.after(1)).unwrap();
        assert_eq!(follow.liveness(), Liveness::Stalled(Duration::from_secs(2)));

        append(&path, "{\"checkpoint\"");
        follow.poll_at(u64::MAX, clock.after(1)).unwrap();
        assert_eq!(follow.liveness(), Liveness::Live, "half a line is growth");
        append(&path, ":\"logits\",\"token_idx\":1,\"values\":[3]}\n{\"end\":true}\n");
        assert_eq!(follow.poll_at(u64::MAX, clock.after(9000)).unwrap().changed, [0, 1]);
        follow.poll_at(u64::MAX, clock.after(9000)).unwrap();
        assert_eq!(follow.liveness(), Liveness::Ended);
        assert!(follow.patience() >= LONGEST_WAIT);
    }

    #[test]
    fn patience_grows_while_nothing_comes_and_is_gone_while_more_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        append(&path, &RECORD.repeat(10));
        let mut follow = Follow::open(&path, || {}).unwrap();
        assert_eq!(follow.patience(), Duration::ZERO, "nothing was read yet");
        let progress = follow.poll(100).unwrap();
        assert!((100..200).contains(&progress.bytes) && !progress.at_end);
        assert_eq!(follow.patience(), Duration::ZERO);
        follow.poll(u64::MAX).unwrap();
        let waits: Vec<u128> = (0..9)
            .map(|_| {
                let wait = follow.patience();
                follow.poll(u64::MAX).unwrap();
                wait.as_millis()
            })
            .collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 500, 500, 500]);
    }

    #[test]
    fn growth_wakes_and_reading_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let (sender, woken) = std::sync::mpsc::channel();
        let follow = Follow::open(&path, move || {
            let _ = sender.send(());
        })
        .unwrap();
        // Where the system has no events to give, the timer is all there is.
        if matches!(follow.watch, Watch::On(_)) {
            append(&path, RECORD);
            woken.recv_timeout(Duration::from_secs(30)).expect("a new file wakes");
        }
        let stem = Some(OsStr::new("t"));
        let event = |kind, name: &str| Event::new(kind).add_path(folder.path().join(name));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(!concerns(&event(opened, "t.jsonl"), stem));
        assert!(concerns(&event(closed, "t.jsonl"), stem));
        assert!(concerns(&event(EventKind::Any, "t.bin"), stem));
        assert!(!concerns(&event(closed, "other.jsonl"), stem));
    }

    #[test]
    fn what_can_never_be_followed_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let error = Follow::open(folder.path(), || {}).unwrap_err();
        assert!(matches!(&error, TraceError::NotATrace { .. }), "{error}");
    }
}
