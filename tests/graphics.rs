//! Pictures in terminals that say what they can show: what is asked, what is sent, what is taken back, and
//! that keys stay keys.
#![cfg(unix)]

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long something may take before the test fails; generous, because machines are busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the last question ends, by whose answer a terminal is known to have answered all.
const LAST: &[u8] = b"\x1b[c";
const SIXEL: &str = "\x1bP0;1;0q\"1;1;";
const KITTY: &str = "\x1b_Ga=T,f=100";
const LEAVES: &str = "\x1b[?1049l";

/// `paritty demo` in a terminal that gives these answers.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    input: Arc<Mutex<Box<dyn Write + Send>>>,
    shown: Arc<Mutex<Vec<u8>>>,
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// `typed` is in the line before the program asks.
    fn start(answers: Option<&'static str>, typed: &str, vars: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 40, cols: 120, pixel_width: 120 * 8, pixel_height: 40 * 16 };
        let pair = native_pty_system().openpty(size).expect("a pseudo terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_paritty"));
        command.args(["demo", "--fault", "rope-pairing"]);
        for name in ["NO_COLOR", "TMUX", "STY", "PARITTY_GRAPHICS", "TERM_PROGRAM", "LC_TERMINAL"] {
            command.env_remove(name);
        }
        let settings = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("PARITTY_CONFIG", "")];
        for (name, value) in settings.iter().chain(vars) {
            command.env(name, value);
        }
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let mut writer = pair.master.take_writer().expect("a writer");
        writer.write_all(typed.as_bytes()).expect("keys");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let (input, shown) = (Arc::new(Mutex::new(writer)), Arc::new(Mutex::new(Vec::new())));
        let (keys, sink) = (Arc::clone(&input), Arc::clone(&shown));
        thread::spawn(move || {
            let (mut buffer, mut answers) = ([0; 8192], answers);
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut shown = sink.lock().expect("what is shown");
                shown.extend_from_slice(&buffer[..count]);
                if shown.windows(LAST.len()).any(|w| w == LAST)
                    && let Some(answers) = answers.take()
                {
                    keys.lock().expect("the line").write_all(answers.as_bytes()).expect("answers");
                }
            }
        });
        Self { child, input, shown, _master: pair.master }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("what is shown")).into_owned()
    }

    /// What can be read on the screen.
    fn text(&self) -> String {
        let mut parser = vt100::Parser::new(40, 120, 0);
        parser.process(&self.shown.lock().expect("what is shown"));
        parser.screen().contents()
    }

    fn wait(what: &str, until: impl Fn() -> bool) {
        let start = Instant::now();
        while !until() {
            assert!(start.elapsed() < PATIENCE, "never came: {what:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for bytes.
    fn wait_for(&self, what: &str) {
        Self::wait(what, || self.shown().contains(what));
    }

    /// Waits for a text on the screen.
    fn wait_for_text(&self, what: &str) {
        Self::wait(what, || self.text().contains(what));
    }

    fn keys(&self, keys: &str) {
        self.input.lock().expect("the line").write_all(keys.as_bytes()).expect("keys");
    }

    fn end(&mut self) -> String {
        let start = Instant::now();
        while self.child.try_wait().expect("its status").is_none() {
            assert!(start.elapsed() < PATIENCE, "it never ended");
            thread::sleep(Duration::from_millis(10));
        }
        self.wait_for(LEAVES);
        self.shown()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn sixels_are_drawn_where_the_terminal_takes_them_and_keys_typed_before_are_kept() {
    let mut terminal = Terminal::start(Some("\x1b[?62;4c"), "3", &[]);
    // `3` is the view with the worst elements.
    terminal.wait_for_text("worst elements");
    terminal.wait_for(SIXEL);
    terminal.keys(":graphics\r");
    terminal.wait_for_text("8×16 pixels");
    terminal.keys("q");
    let shown = terminal.end();
    assert!(!shown.contains(KITTY));
    // Once it is gone, nothing more is drawn.
    let (_, after) = shown.rsplit_once(LEAVES).expect("it left");
    assert!(!after.contains("\x1bP"));
}

#[test]
fn kitty_pictures_are_taken_back_at_the_end_however_it_comes() {
    for signal in [None, Some("-TERM")] {
        let mut terminal = Terminal::start(Some("\x1b_Gi=31;OK\x1b\\\x1b[?62;c"), "", &[]);
        terminal.wait_for(KITTY);
        match signal {
            None => terminal.keys("q"),
            Some(signal) => {
                let pid = terminal.child.process_id().expect("it runs").to_string();
                let status = std::process::Command::new("kill").args([signal, &pid]).status();
                assert!(status.expect("kill").success());
            }
        }
        let shown = terminal.end();
        // Every number that was used is given back after its last use.
        let ids: Vec<&str> = shown
            .split(KITTY)
            .skip(1)
            .filter_map(|s| Some(s.split_once(",i=")?.1.split_once(',')?.0))
            .collect();
        assert!(!ids.is_empty());
        for id in ids {
            let used = shown.rfind(&format!("{KITTY},t=d,i={id},")).expect("its use");
            let gone = shown.rfind(&format!("\x1b_Ga=d,d=I,i={id},")).expect("taken back");
            assert!(used < gone && gone < shown.rfind(LEAVES).expect("it left"), "{id}");
        }
    }
}

#[test]
fn a_terminal_that_answers_late_or_not_at_all_has_half_blocks_and_its_answer_is_no_key() {
    let mut terminal = Terminal::start(None, "", &[]);
    // Frames are drawn: nobody waits for answers any more.
    terminal.wait_for("\x1b[?2026h");
    // In it are `q`, which would quit, and `?`, which would show the help.
    terminal.keys("\x1bP>|q?(1)\x1b\\");
    terminal.keys("3");
    terminal.wait_for_text("worst elements");
    terminal.wait_for_text("▀");
    terminal.keys("q");
    let shown = terminal.end();
    assert!(!shown.contains(SIXEL) && !shown.contains(KITTY));
}

#[test]
fn pictures_come_later_where_the_answer_does() {
    let mut terminal = Terminal::start(None, "", &[]);
    terminal.wait_for("\x1b[?2026h");
    terminal.keys("\x1b_Gi=31;OK\x1b\\");
    terminal.wait_for(KITTY);
    terminal.keys("q");
    terminal.end();
}

#[test]
fn nothing_is_asked_where_no_pictures_are_wanted() {
    for var in [("NO_COLOR", "1"), ("PARITTY_GRAPHICS", "none"), ("TERM", "xterm")] {
        let mut terminal = Terminal::start(Some("\x1b[?62;4c"), "", &[("COLORTERM", ""), var]);
        terminal.wait_for_text("verdict");
        terminal.keys("q");
        let shown = terminal.end();
        assert!(!shown.contains("\x1b_G") && !shown.contains("\x1b[c") && !shown.contains(SIXEL), "{var:?}");
    }
}

#[test]
fn what_is_asked_for_by_name_is_shown_and_nonsense_is_refused() {
    let mut terminal = Terminal::start(Some("\x1b[?62;4c"), "", &[("PARITTY_GRAPHICS", "iterm")]);
    terminal.wait_for("\x1b]1337;File=size=");
    terminal.keys("q");
    terminal.end();
    let mut terminal = Terminal::start(None, "", &[("PARITTY_GRAPHICS", "sixels")]);
    terminal.wait_for(
        "PARITTY_GRAPHICS: no graphics are called `sixels`; there are: auto, kitty, iterm, sixel, none",
    );
    assert_eq!(terminal.child.wait().expect("its status").exit_code(), 2);
}

#[test]
fn nothing_is_asked_through_a_pipe() {
    for arguments in [&["doctor"][..], &["demo", "--headless", "--steps", "2"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paritty"));
        let output = command.args(arguments).env("TERM", "xterm-256color").output().expect("it runs");
        assert!(!output.stdout.contains(&0x1b), "{arguments:?}");
    }
}
