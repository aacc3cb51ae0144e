//! Any engine as one that is driven: a program that speaks lines of JSON on its standard input and
//! output. Its answers are the lines of a trace, so that everything a trace may be, its answers may
//! be too.
//!
//! | paritty writes | the program answers |
//! |---|---|
//! | `{"load":{"protocol":1,"model":"/m.gguf","checkpoints":"all","sidecar":"/tmp/x/candidate.bin",…}}` | a trace's header |
//! | `{"step":{"position":0,"token":1}}` | records of position 0, then `{"token_idx":0,"complete":true}` |
//! | `{"rewind":{"position":0}}` | `{"rewind":0}`: positions from 0 on are forgotten |
//! | end of input | ends |
//!
//! Values stand in the records' lines, or in the file that `load` names as `sidecar`; the header
//! then has `"sidecar"` with that file's name, as in any trace. `complete` may carry `"next"`, the
//! token that the engine itself would choose. `{"error":"…"}` in place of any answer says that it
//! cannot be given. Standard error is for people.

mod kept;
mod process;
mod protocol;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use kept::LastLines;
pub use protocol::{Load, Request};

use self::process::Process;
use self::protocol::Answer;
use super::worker::{Graft, Worker};
use crate::text::safe_short;
use crate::trace::Token;

/// Lines that mean nothing, in one answer, after which the program is taken to speak another
/// language. Some libraries print a banner; none prints this much.
const MAX_NONSENSE: usize = 1000;

/// How a program is started and how long it may be silent.
#[derive(Clone, Debug)]
pub struct Start {
    /// Program and arguments, in the shell's quoting; no shell is started.
    pub command: String,
    /// What it is asked to load.
    pub load: Load,
    /// Where the trace goes; the sidecar lies beside it.
    pub trace: PathBuf,
    /// Longest silence.
    pub patience: Duration,
    /// Becomes true when nobody waits for answers any more.
    pub stop: Arc<AtomicBool>,
}

/// A running program.
pub struct Program {
    process: Process,
    trace: BufWriter<File>,
    path: PathBuf,
    position: u32,
}

/// What an order is over with.
#[derive(Clone, Copy)]
enum Until {
    Header,
    Complete(u32),
    Rewound(u32),
}

impl Until {
    fn describe(self) -> String {
        match self {
            Self::Header => "the header of a trace in answer to `load`".into(),
            Self::Complete(p) => {
                format!("the records of position {p} and {{\"token_idx\":{p},\"complete\":true}}")
            }
            Self::Rewound(p) => format!("{{\"rewind\":{p}}}"),
        }
    }
}

impl Program {
    /// Starts the program and has it load the model.
    pub fn start(mut start: Start) -> Result<Self, String> {
        let sidecar = start.trace.with_extension("bin");
        start.load.sidecar = Some(sidecar.clone());
        // A trace that is there is continued: a header in its midst begins the run anew, with a sidecar
        // of its own.
        let trace = OpenOptions::new().create(true).append(true).open(&start.trace);
        let trace = trace.map_err(|e| format!("{}: {e}", start.trace.display()))?;
        let _ = std::fs::remove_file(&sidecar);
        let process = Process::start(&start.command, start.patience, start.stop)?;
        let mut program = Self { process, trace: BufWriter::new(trace), path: start.trace, position: 0 };
        program.ask(&Request::Load(start.load), Until::Header)?;
        Ok(program)
    }

    /// Writes a request and takes in lines until its answer is whole. Every line goes into the trace.
    fn ask(&mut self, request: &Request, until: Until) -> Result<Option<u32>, String> {
        self.process.write(request, &until.describe())?;
        let mut nonsense = 0;
        loop {
            let line = self.process.line(&until.describe())?;
            let answer = Answer::of(&line);
            if let Answer::Error(text) = &answer {
                return Err(self.process.said(&format!("refuses: {}", safe_short(text, 300))));
            }
            // A second header would void the run, and the token is in the trace already.
            let drop = match until {
                Until::Header => false,
                Until::Complete(_) | Until::Rewound(_) => matches!(answer, Answer::Header | Answer::Token),
            };
            if !drop {
                self.keep(&line)?;
            }
            match (answer, until) {
                (Answer::Header, Until::Header) => break self.flush(None),
                (Answer::Complete { position, next }, Until::Complete(wanted)) if position == wanted => {
                    break self.flush(next);
                }
                (Answer::Rewind(position), Until::Rewound(wanted)) if position == wanted => {
                    break self.flush(None);
                }
                (Answer::Record | Answer::Token, Until::Complete(_)) => {}
                _ => nonsense += 1,
            }
            if nonsense > MAX_NONSENSE {
                let quote = safe_short(&String::from_utf8_lossy(&line), 60);
                let expected = until.describe();
                return Err(self.process.said(&format!(
                    "does not speak the protocol: {nonsense} lines that mean nothing, the last `{quote}`; expected {expected}"
                )));
            }
        }
    }

    fn keep(&mut self, line: &[u8]) -> Result<(), String> {
        let written = self.trace.write_all(line).and_then(|()| self.trace.write_all(b"\n"));
        written.map_err(|e| format!("{}: {e}", self.path.display()))
    }

    fn flush(&mut self, next: Option<u32>) -> Result<Option<u32>, String> {
        self.trace.flush().map_err(|e| format!("{}: {e}", self.path.display()))?;
        Ok(next)
    }
}

impl Worker for Program {
    fn step(&mut self, token: &Token) -> Result<Option<u32>, String> {
        let position = self.position;
        let opening = protocol::token_line(position, token);
        self.keep(opening.as_bytes())?;
        let next = self.ask(&Request::Step { position, token: token.id }, Until::Complete(position))?;
        self.position += 1;
        Ok(next)
    }

    fn graft(&mut self, _: Graft) -> Result<(), String> {
        Err(self.process.said("cannot be given values: the protocol has no grafts"))
    }

    fn rewind(&mut self, position: u32) -> Result<(), String> {
        self.ask(&Request::Rewind { position }, Until::Rewound(position))?;
        self.position = position;
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), String> {
        self.keep(br#"{"end":true}"#)?;
        self.flush(None).map(|_| ())
    }
}
