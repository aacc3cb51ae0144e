//! Asking the terminal.

use std::io;
use std::time::Instant;
#[cfg(unix)]
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use crossterm::event::KeyEvent;

use super::Protocol;
use super::choice::Choice;
use super::detect::{Answers, COLORS_OF_SIXELS, Found, MORE_COLORS, QUESTIONS, decide};
use super::late::{Late, keys};
use super::picture::{COLORS, CellSize};
use super::surroundings::Surroundings;

#[cfg(unix)]
/// How long answers are waited for. A terminal on the same machine takes a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(100);
#[cfg(unix)]
/// Longest answer that is read, in bytes.
const MOST: usize = 1 << 16;

/// What the terminal said, and what lies between; nothing while it has not been asked.
#[derive(Clone, Debug, Default)]
pub struct Asked(Option<(Answers, Surroundings)>);

impl Asked {
    /// How pictures are shown if this is wanted.
    pub fn decide(&self, choice: Choice) -> Found {
        match &self.0 {
            Some((answers, around)) => decide(choice, around, answers),
            None if choice == Choice::None => Found { placing: None, why: "asked for".to_owned() },
            None => {
                let why = "the terminal was not asked at the start, because none were wanted";
                Found { placing: None, why: why.to_owned() }
            }
        }
    }

    /// Keeps the answers from the keys that may still come.
    pub fn late(&self) -> Option<Late> {
        let (answers, around) = self.0.as_ref()?;
        (around.can_be_asked && !answers.complete).then(|| Late::new(Instant::now(), &answers.begun))
    }

    /// Takes over an answer that has come late.
    pub fn take(&mut self, answer: &[u8]) {
        if let Some((answers, _)) = &mut self.0 {
            answers.take(answer);
        }
    }

    /// What was typed while it was asked.
    pub fn typed(&self) -> Vec<KeyEvent> {
        self.0.as_ref().map(|(answers, _)| keys(&answers.typed)).unwrap_or_default()
    }
}

/// Asks the terminal on stdin and stdout, which gives keys at once (raw mode), and nobody else reads from.
pub fn ask(choice: Choice) -> io::Result<Asked> {
    let around = Surroundings::of_process();
    let mut answers = Answers::default();
    if around.can_be_asked {
        answers = exchange(QUESTIONS)?;
    }
    if let Some(cell) = CellSize::of_window() {
        answers.cell = Some(cell);
    }
    let sixel = decide(choice, &around, &answers).placing.is_some_and(|p| p.protocol == Protocol::Sixel);
    for questions in [COLORS_OF_SIXELS, MORE_COLORS] {
        let few = questions == COLORS_OF_SIXELS || answers.colors.is_some_and(|colors| colors < COLORS);
        if sixel && answers.complete && few {
            let more = exchange(questions)?;
            answers.colors = more.colors.or(answers.colors);
            answers.complete = more.complete;
            answers.typed.extend_from_slice(&more.typed);
            answers.begun = more.begun;
        }
    }
    Ok(Asked(Some((answers, around))))
}

/// Asks outside of the screen, where the terminal gives keys by the line: what is typed in that moment is lost.
pub fn ask_aside(choice: Choice) -> io::Result<Found> {
    crossterm::terminal::enable_raw_mode()?;
    let asked = if choice == Choice::None { Ok(Asked::default()) } else { ask(choice) };
    crossterm::terminal::disable_raw_mode()?;
    Ok(asked?.decide(choice))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same on every system")]
fn exchange(_questions: &str) -> io::Result<Answers> {
    Ok(Answers::default())
}

#[cfg(unix)]
fn exchange(questions: &str) -> io::Result<Answers> {
    let mut out = io::stdout().lock();
    out.write_all(questions.as_bytes())?;
    out.flush()?;
    // Of its own, without a buffer: what is not an answer must not be lost in one.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (start, mut bytes) = (Instant::now(), Vec::new());
    loop {
        let answers = Answers::read(&bytes);
        let left = PATIENCE.saturating_sub(start.elapsed());
        if answers.complete || left.is_zero() || bytes.len() > MOST || !has_input(&input, left)? {
            return Ok(answers);
        }
        let mut some = [0; 1024];
        match input.read(&mut some)? {
            0 => return Ok(answers),
            n => bytes.extend_from_slice(&some[..n]),
        }
    }
}

#[cfg(unix)]
/// Whether there is something to read within this time.
fn has_input(input: &File, within: Duration) -> io::Result<bool> {
    let mut waiting = libc::pollfd { fd: input.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = within.as_millis().clamp(1, 1000) as libc::c_int;
    #[allow(unsafe_code)]
    // SAFETY: one structure, which lives through the call.
    let ready = unsafe { libc::poll(&raw mut waiting, 1, milliseconds) };
    match ready {
        0 => Ok(false),
        1.. => Ok(waiting.revents & libc::POLLIN != 0),
        _ => {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
        }
    }
}
