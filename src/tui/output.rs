//! What is drawn, on its way to the terminal: a thread of its own writes it, so that a slow line holds back
//! frames and never the keys. There is one frame on its way at most; what is to be seen meanwhile is drawn
//! when that has arrived.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::Notify;

/// Bytes written at once: what is not wanted any more is given up between two such pieces.
const PIECE: usize = 2048;

/// Whether the terminal is taken; what is drawn otherwise goes nowhere, so that it never lands in the shell.
static OPEN: AtomicBool = AtomicBool::new(false);
/// Counts how often the terminal was given back; what was drawn before that is not written any more.
static ERA: AtomicU64 = AtomicU64::new(0);
/// Pieces of work that are on their way.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Bytes of one era.
struct Parcel {
    era: u64,
    bytes: Vec<u8>,
}

/// Where frames go. Nothing is on its way before it is flushed.
#[derive(Debug)]
pub(super) struct Output {
    buffer: Vec<u8>,
    parcels: mpsc::Sender<Parcel>,
    failed: Arc<Mutex<Option<io::Error>>>,
    arrived: Arc<Notify>,
}

impl Output {
    /// To stdout.
    pub fn new() -> io::Result<Self> {
        let (parcels, inbox) = mpsc::channel::<Parcel>();
        let (failed, arrived) = (Arc::<Mutex<Option<io::Error>>>::default(), Arc::<Notify>::default());
        let (fails, tells) = (Arc::clone(&failed), Arc::clone(&arrived));
        // It ends with the program or the sender; a write in hand cannot be called off.
        std::thread::Builder::new().name("terminal".into()).spawn(move || {
            for parcel in inbox {
                if let Err(error) = deliver(&parcel) {
                    *fails.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
                PENDING.fetch_sub(1, Ordering::SeqCst);
                tells.notify_one();
            }
        })?;
        Ok(Self { buffer: Vec::new(), parcels, failed, arrived })
    }

    /// Told whenever something has arrived.
    pub fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        if !OPEN.load(Ordering::SeqCst) {
            self.buffer.clear();
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        // About as much will be drawn the next time.
        let next = Vec::with_capacity(self.buffer.len());
        let bytes = std::mem::replace(&mut self.buffer, next);
        PENDING.fetch_add(1, Ordering::SeqCst);
        let sent = self.parcels.send(Parcel { era: ERA.load(Ordering::SeqCst), bytes });
        sent.map_err(|_| {
            PENDING.fetch_sub(1, Ordering::SeqCst);
            io::Error::from(io::ErrorKind::BrokenPipe)
        })
    }
}

fn deliver(parcel: &Parcel) -> io::Result<()> {
    for piece in parcel.bytes.chunks(PIECE) {
        let mut out = io::stdout().lock();
        // Asked while nobody else can write: what gives the terminal back stands behind this piece.
        if ERA.load(Ordering::SeqCst) != parcel.era {
            return Ok(());
        }
        out.write_all(piece)?;
        out.flush()?;
    }
    Ok(())
}

/// Whether everything that was drawn has arrived.
pub(super) fn is_idle() -> bool {
    PENDING.load(Ordering::SeqCst) == 0
}

/// From now on, what is drawn is written.
pub(super) fn open() {
    OPEN.store(true, Ordering::SeqCst);
}

/// Gives up what is on its way: after this, only the caller writes. Says whether a piece may have been cut
/// off in the middle of a sequence.
pub(super) fn give_up() -> bool {
    OPEN.store(false, Ordering::SeqCst);
    ERA.fetch_add(1, Ordering::SeqCst);
    !is_idle()
}

/// Forgets what the system keeps for a terminal that has not read it yet, so that a write which waits for
/// room comes back.
pub(super) fn drop_unread() {
    // SAFETY: these take numbers and touch no memory; an error means that there is nothing to forget.
    #[cfg(unix)]
    #[allow(unsafe_code)]
    unsafe {
        libc::tcflush(libc::STDOUT_FILENO, libc::TCOFLUSH);
        // Room alone wakes nobody; going on after a stop does.
        libc::tcflow(libc::STDOUT_FILENO, libc::TCOOFF);
        libc::tcflow(libc::STDOUT_FILENO, libc::TCOON);
    }
}
