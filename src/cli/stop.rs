//! Signals that end a long command between two steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::ensure;
use signal_hook::consts::{SIGINT, SIGTERM};

/// SIGINT and SIGTERM: the first ends the run between two lines, a second one the program.
pub struct Stop {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self { flag: Arc::default(), signal: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop.flag))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize)?;
            signal_hook::flag::register(signal, Arc::clone(&stop.flag))?;
        }
        Ok(stop)
    }

    /// Becomes true with the first signal.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Fails once a signal came.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.came(), "interrupted");
        Ok(())
    }

    /// Ends the program by the signal that was received, if one was.
    pub fn die_of_signal(&self) {
        let signal = self.signal.load(Ordering::Relaxed) as i32;
        if signal != 0 {
            // Fails only for signals that cannot end a program.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }
}
