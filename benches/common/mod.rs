//! What benches that print their own figures share.
#![allow(dead_code, reason = "every bench uses its own part of it")]

pub mod pty;
pub mod traces;

use std::fs;
use std::time::Duration;

/// Whether figures are asked for: not when `cargo test` only tries whether a bench runs.
pub fn asked() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// A number from the environment.
pub fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What the figures were measured on; every one of them depends on it.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    format!("{cores} cores, load average {load} at the start")
}

/// Times of one thing, or bytes of it.
#[derive(Clone, Debug, Default)]
pub struct Sample<T>(Vec<T>);

impl<T: Copy + Ord + Default> Sample<T> {
    pub fn add(&mut self, one: T) {
        self.0.push(one);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest one that this share of all does not exceed.
    pub fn at(&self, share: f64) -> T {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
    }

    pub fn median(&self) -> T {
        self.at(0.5)
    }

    pub fn late(&self) -> T {
        self.at(0.99)
    }

    pub fn longest(&self) -> T {
        self.at(1.0)
    }
}

/// Milliseconds with two decimals.
pub fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// `median / 99th percentile / longest`, in milliseconds.
pub fn in_words(times: &Sample<Duration>) -> String {
    format!(
        "median {} ms, 99th percentile {} ms, longest {} ms",
        ms(times.median()),
        ms(times.late()),
        ms(times.longest())
    )
}

/// Processor time of the calling thread so far.
pub fn processor_of_thread() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to be filled in.
    #[allow(unsafe_code)]
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    assert_eq!(failed, 0, "there is such a clock");
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// What the system says of a process (`self`, or a number).
#[derive(Debug)]
pub struct Process(pub String);

impl Process {
    pub fn this() -> Self {
        Self("self".to_owned())
    }

    /// A line of `/proc/PID/status` in bytes.
    pub fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or(0) << 10
    }

    /// Processor time so far.
    pub fn processor(&self) -> Duration {
        self.tasks("schedstat")
            .filter_map(|text| text.split(' ').next()?.parse().ok())
            .map(Duration::from_nanos)
            .sum()
    }

    /// How often its threads went to sleep so far, each time to be woken again.
    pub fn wakeups(&self) -> u64 {
        let count = |text: String| {
            let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<u64>().ok()
        };
        self.tasks("status").filter_map(count).sum()
    }

    /// A file of each thread's folder.
    fn tasks(&self, file: &'static str) -> impl Iterator<Item = String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).into_iter().flatten();
        threads.filter_map(move |thread| fs::read_to_string(thread.ok()?.path().join(file)).ok())
    }
}
