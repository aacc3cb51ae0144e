//! A program in a terminal, and how long its screen takes to answer.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program in a terminal of 200 × 60.
pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    input: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Pty {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let (rows, cols) = (60, 200);
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let input = pair.master.take_writer().expect("a writer");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 0)));
        let shared = Arc::clone(&screen);
        thread::spawn(move || {
            // The terminal lives as long as its output is read.
            let _master = pair.master;
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                shared.lock().expect("the screen").process(&buffer[..count]);
            }
        });
        Self { child, input, screen }
    }

    /// The program's process.
    pub fn pid(&self) -> String {
        self.child.process_id().expect("it runs").to_string()
    }

    pub fn keys(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).expect("keys");
        self.input.flush().expect("keys");
    }

    /// Waits until the screen shows something.
    pub fn wait(&self, what: &str, shown: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let text = self.screen.lock().expect("the screen").screen().contents();
            if shown(&text) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "never came: {what}\n{text}");
            // Looking more often would take the time that is measured.
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
