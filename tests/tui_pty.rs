//! The screen in a real (pseudo) terminal: what is shown, what keys do, and that the terminal is
//! given back after every kind of end.
#![cfg(unix)]

#[path = "common/snapshots.rs"]
mod snapshots;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use paritty::compare::Verdict;
use paritty::session::{Command, Link, Snapshot};
use paritty::tui::TuiOptions;
use paritty::tui::terminal::Screen;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use snapshots::Scene;
use tokio::sync::{mpsc, watch};

/// How long something may take before the test fails; generous, because machines are busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program in a terminal.
struct Session {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    input: Box<dyn Write + Send>,
    parser: Arc<Mutex<vt100::Parser>>,
    settings_before: String,
    /// While set, nobody reads what the program writes.
    stalled: Arc<AtomicBool>,
}

impl Session {
    fn start_in(folder: &Path, program: PathBuf, arguments: &[&str], rows: u16, cols: u16) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 })
            .expect("a pseudo terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env_remove("NO_COLOR");
        command.env_remove("RUST_BACKTRACE");
        command.cwd(folder);
        let settings_before = settings(&*pair.master);
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 200)));
        let sink = Arc::clone(&parser);
        let stalled = Arc::new(AtomicBool::new(false));
        let stands = Arc::clone(&stalled);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                sink.lock().expect("the parser").process(&buffer[..count]);
                while stands.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let input = pair.master.take_writer().expect("a writer");
        Self { master: pair.master, child, input, parser, settings_before, stalled }
    }

    /// This test binary again, running one of the scenes below.
    fn scene(name: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let arguments = ["--exact", name, "--ignored", "--nocapture", "--test-threads=1"];
        Self::start_in(&std::env::temp_dir(), program, &arguments, 30, 110)
    }

    fn text(&self) -> String {
        self.parser.lock().expect("the parser").screen().contents()
    }

    fn wait(&self, what: &str, until: impl Fn(&vt100::Screen) -> bool) {
        let start = Instant::now();
        while !until(self.parser.lock().expect("the parser").screen()) {
            assert!(start.elapsed() < PATIENCE, "never came: {what}\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_for(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    fn keys(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).expect("keys");
        self.input.flush().expect("keys");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().expect("it runs").to_string();
        let status = std::process::Command::new("kill").args([name, &pid]).status();
        assert!(status.expect("kill").success());
    }

    /// Waits for the end and sees that the terminal is as it was.
    fn assert_restored(&mut self) {
        self.assert_ended();
        self.assert_given_back();
    }

    fn assert_ended(&mut self) {
        let start = Instant::now();
        while self.child.try_wait().expect("its status").is_none() {
            assert!(start.elapsed() < PATIENCE, "it never ended\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn assert_given_back(&self) {
        self.wait("the ordinary screen", |screen| !screen.alternate_screen() && !screen.hide_cursor());
        let parser = self.parser.lock().expect("the parser");
        let screen = parser.screen();
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert!(!screen.bracketed_paste());
        assert!(!screen.application_cursor());
        assert_eq!(settings(&*self.master), self.settings_before, "line discipline");
    }
}

fn settings(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().expect("the terminal's settings"))
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// A session without engines: it starts with four positions, `Step` adds one, the cursor's cell is
/// answered.
fn stage() -> Link {
    let scene = Scene::faulty();
    let first = up_to(&scene, 4);
    let (publish, snapshots) = watch::channel(Arc::new(first));
    let (commands, mut orders) = mpsc::channel(8);
    thread::spawn(move || {
        let mut positions = 4;
        while let Some(order) = orders.blocking_recv() {
            match order {
                Command::Step => positions += 1,
                Command::Run => positions = scene.positions,
                Command::Back => positions -= 1,
                Command::Quit => break,
                _ => {}
            }
            let focus = match order {
                Command::Focus(wanted) => Some(Arc::new(scene.focus(wanted.position, wanted.checkpoint))),
                _ => publish.borrow().focus.clone(),
            };
            publish.send_replace(Arc::new(Snapshot { focus, ..up_to(&scene, positions) }));
        }
    });
    Link { snapshots, commands }
}

fn up_to(scene: &Scene, positions: u32) -> Snapshot {
    let mut snapshot = Snapshot { step: positions, ..scene.snapshot() };
    snapshot.columns.truncate(positions as usize);
    if positions <= scene.fault.map_or(0, |fault| fault.0) {
        snapshot.verdict = Arc::new(Verdict::Pending);
    }
    snapshot
}

#[test]
#[ignore = "runs inside the terminal that other tests open"]
fn scene_plain() {
    let exporter = |_| Ok(vec![PathBuf::from("picture.png")]);
    let options = TuiOptions { exporter: Some(Arc::new(exporter)), ..TuiOptions::default() };
    paritty::tui::run(stage(), options).expect("it runs");
}

#[test]
#[ignore = "runs inside the terminal that other tests open"]
fn scene_export_panics() {
    let exporter = |_| panic!("the exporter broke");
    let options = TuiOptions { exporter: Some(Arc::new(exporter)), ..TuiOptions::default() };
    paritty::tui::run(stage(), options).expect("it runs");
}

#[test]
#[ignore = "runs inside the terminal that other tests open"]
fn scene_panics_while_drawing() {
    let mut screen = Screen::enter().expect("a terminal");
    screen
        .draw(|frame, _| frame.buffer_mut().set_string(0, 0, "about to fail", ratatui::style::Style::new()))
        .expect("drawn");
    let mut line = [0; 1];
    let _ = std::io::stdin().read(&mut line);
    let _ = screen.draw(|_, _| panic!("drawing broke"));
}

#[test]
fn keys_do_what_the_footer_says_and_quitting_restores_the_terminal() {
    let mut session = Session::scene("scene_plain");
    session.wait_for("step 4");
    session.wait_for("position 3 · result_output");
    session.wait("the other screen", |s| {
        s.alternate_screen() && s.mouse_protocol_mode() != vt100::MouseProtocolMode::None
    });
    session.keys("s");
    session.wait_for("step 5");
    session.keys("b");
    session.wait_for("step 4");
    session.keys("r");
    session.wait_for("first divergence: position 17");
    session.wait_for("layer 3 · position 17 · Kcur_rope");
    session.keys("n");
    session.wait_for("layer 5 · position 30 · ffn_up");
    session.keys("\x1b[D");
    session.wait_for("position 29 · ");
    session.keys("\r\r");
    session.wait_for("worst elements");
    session.keys("?");
    session.wait_for("Moving the cursor");
    session.keys("\x1b");
    session.wait("help closed", |s| !s.contents().contains("Moving the cursor"));
    session.keys("e");
    session.wait_for("saved picture.png");
    session.master.resize(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).expect("resize");
    session.parser.lock().expect("the parser").screen_mut().set_size(24, 80);
    // A key that arrives together with the signal of the new size is held back by crossterm until the next one.
    session.wait("24 rows", |s| s.rows(0, 80).nth(23).is_some_and(|row| row.contains("saved picture.png")));
    session.keys("\x1b");
    session.wait_for("layer 5 · position 29: the pipeline");
    session.keys("\x1b");
    session.wait_for("parity map");
    session.wait("80 columns", |s| s.contents().trim_end().ends_with("q quit"));
    session.keys("q");
    session.assert_restored();
}

#[test]
fn what_is_typed_and_pasted_goes_into_the_prompt() {
    let mut session = Session::scene("scene_plain");
    session.wait_for("step 4");
    // A paste without a prompt is no keys: `q` in it would quit.
    session.keys("\x1b[200~q\x1b[201~:got\t");
    session.wait_for(":goto");
    session.keys("\x1b[200~2\n\x1b[201~");
    session.wait_for(":goto 2");
    session.keys("\r");
    session.wait_for("position 2 · ");
    session.keys("/kcur_rope-1");
    session.wait_for("1 of 1 · Kcur_rope-1");
    session.keys("\r");
    session.wait_for("1 of 1: Kcur_rope-1");
    session.keys(":goto 99\r");
    session.wait_for("`99` is no position");
    session.keys("\x03");
    session.assert_restored();
}

#[test]
fn interrupt_and_signals_restore_the_terminal() {
    for end in ["\x03", "-TERM", "-HUP", "-INT", "-QUIT"] {
        let mut session = Session::scene("scene_plain");
        session.wait_for("step 4");
        if end.starts_with('-') {
            session.signal(end);
        } else {
            session.keys(end);
        }
        session.assert_restored();
    }
}

#[test]
fn a_panic_while_drawing_restores_the_terminal_and_is_reported() {
    let mut session = Session::scene("scene_panics_while_drawing");
    session.wait_for("about to fail");
    session.keys("x");
    session.assert_restored();
    session.wait_for("drawing broke");
}

#[test]
fn a_panic_elsewhere_leaves_the_screen_up_and_is_reported_afterwards() {
    let mut session = Session::scene("scene_export_panics");
    session.wait_for("step 4");
    session.keys("e");
    session.wait_for("not exported");
    assert!(!session.text().contains("the exporter broke"));
    session.keys("s");
    session.wait_for("step 5");
    session.keys("q");
    session.assert_restored();
    session.wait_for("the exporter broke");
}

#[test]
fn suspended_and_resumed() {
    let mut session = Session::scene("scene_plain");
    session.wait_for("step 4");
    session.keys("\x1a");
    session.assert_given_back();
    session.signal("-CONT");
    session.wait("the screen again", |s| s.alternate_screen() && s.contents().contains("step 4"));
    session.keys("s");
    session.wait_for("step 5");
    session.keys("q");
    session.assert_restored();
}

#[test]
fn suspended_from_outside_and_resumed() {
    let mut session = Session::scene("scene_plain");
    session.wait_for("step 4");
    session.signal("-TSTP");
    session.assert_given_back();
    session.signal("-CONT");
    session.wait("the screen again", |s| s.alternate_screen() && s.contents().contains("step 4"));
    // Stopped by what cannot be caught, nothing is given back; afterwards everything is drawn anew.
    session.signal("-STOP");
    session.parser.lock().expect("the parser").process(b"\x1b[2J\x1b[?1002l\x1b[?1006lwritten meanwhile");
    session.signal("-CONT");
    session.wait("everything anew", |s| {
        s.contents().contains("step 4")
            && !s.contents().contains("written meanwhile")
            && s.mouse_protocol_mode() != vt100::MouseProtocolMode::None
    });
    session.keys("q");
    session.assert_restored();
}

#[test]
fn a_terminal_that_reads_nothing_holds_frames_back_and_not_the_keys() {
    let mut session = Session::scene("scene_plain");
    session.wait_for("step 4");
    session.stalled.store(true, Ordering::SeqCst);
    // Frames far larger than what the system keeps for a terminal.
    session.master.resize(PtySize { rows: 100, cols: 300, pixel_width: 0, pixel_height: 0 }).expect("resize");
    for view in "2345678912345678".chars() {
        session.keys(&view.to_string());
        thread::sleep(Duration::from_millis(30));
    }
    session.keys("q");
    session.assert_ended();
    session.stalled.store(false, Ordering::SeqCst);
    session.assert_given_back();
}

/// The real thing: `paritty demo` in a folder of its own.
#[test]
fn the_demo_leads_to_its_fault_and_exports_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_paritty"));
    let mut session =
        Session::start_in(folder.path(), program, &["demo", "--fault", "rope-pairing@2"], 30, 110);
    session.wait_for("replay of a recorded trace");
    session.wait_for("fault: rope-pairing");
    session.wait_for("DIVERGED");
    session.wait_for("rope-2");
    session.keys("l");
    session.keys("f");
    session.wait_for("layer 2 · position");
    session.wait("finished", |s| s.contents().contains("finished"));
    session.keys("b");
    session.wait_for("paused");
    session.keys("s");
    session.wait_for("finished");
    session.keys("?");
    session.wait_for("Moving the cursor");
    session.keys("?E");
    session.wait_for("saved ");
    session.keys("q");
    session.assert_restored();
    let status = session.child.wait().expect("its status");
    assert_eq!(status.exit_code(), 1, "a divergence was shown");
    let picture = std::fs::read_dir(folder.path())
        .expect("the folder")
        .filter_map(Result::ok)
        .find(|entry| entry.path().extension().is_some_and(|e| e == "png"))
        .expect("a picture");
    let bytes = std::fs::read(picture.path()).expect("its bytes");
    assert!(bytes.starts_with(b"\x89PNG"));
}
