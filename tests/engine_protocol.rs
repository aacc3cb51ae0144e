//! Programs as engines: our own served to ourselves, and programs that crash, hang and lie.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paritty::compare::Verdict;
use paritty::session::headless::{self, Limits};
use paritty::session::{Command, Config, Session, Snapshot, Source, SourceState, Tokens};

/// No test waits this long unless something hangs.
const PATIENCE: Duration = Duration::from_mins(1);

const PARITTY: &str = env!("CARGO_BIN_EXE_paritty");

fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(path)
}

/// The recorded llama.cpp beside the program `command`.
fn against_recorded(command: &str) -> Config {
    let reference = Source::Trace(asset("traces/shakespeare-f16.jsonl"));
    Config {
        patience: PATIENCE,
        ..Config::new(asset("models/shakespeare-f16.gguf"), reference, Source::Program(command.to_owned()))
    }
}

fn run(config: &Config) -> (Session, Arc<Snapshot>) {
    let session = Session::start(config).unwrap();
    let last = headless::run(&session, Limits { steps: None, patience: PATIENCE }, |_| {}).unwrap();
    (session, last)
}

/// A word as the shell and `cmd:` read it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A shell script as a program.
fn script(text: &str) -> String {
    format!("sh -c {}", quoted(text))
}

fn serve(arguments: &str) -> String {
    format!("{} serve --threads 1 {arguments}", quoted(PARITTY))
}

/// Shell text that lets through `n` requests and then closes the program's input.
fn requests(n: u32) -> String {
    format!("n={n}; while [ $n -gt 0 ] && read -r line; do echo \"$line\"; n=$((n-1)); done")
}

/// What the candidate's failure says.
fn failure(config: &Config) -> String {
    let (_session, last) = run(config);
    match &last.candidate.state {
        SourceState::Failed(why) => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_engine_as_a_program_is_within_noise() {
    let (_session, last) = run(&against_recorded(&serve("")));
    assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{:?}", last.verdict);
    assert_eq!((last.candidate.positions, last.reference.positions), (16, 16));
    assert_eq!(last.candidate.team, "paritty");
}

#[test]
fn a_mistake_in_a_program_is_found() {
    let (_session, last) = run(&against_recorded(&serve("--fault rope-pairing")));
    let Verdict::Diverged { first, .. } = &*last.verdict else { panic!("{:?}", last.verdict) };
    assert_eq!((first.position, first.checkpoint.to_string().as_str()), (1, "Qcur_rope-0"));
}

#[test]
fn a_program_generates_from_its_own_logits() {
    let mut config = against_recorded(&serve(""));
    (config.reference, config.candidate) = (config.candidate, Source::Cpu);
    (config.tokens, config.generate) = (Tokens::Prompt("JULIET:".into()), 5);
    let (_session, last) = run(&config);
    assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{:?}", last.verdict);
    assert_eq!(last.tokens.iter().filter(|t| !t.from_prompt).count(), 5);
}

#[test]
fn a_program_steps_back() {
    let mut config = against_recorded(&serve(""));
    config.running = false;
    let session = Session::start(&config).unwrap();
    let mut link = session.link();
    let mut reach = |command: Command, positions: u32| {
        link.commands.blocking_send(command).unwrap();
        let until = Instant::now() + PATIENCE;
        while link.snapshots.borrow_and_update().candidate.positions != positions {
            assert!(Instant::now() < until, "{positions} positions were not reached");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    reach(Command::Step, 1);
    reach(Command::Step, 2);
    reach(Command::Back, 1);
    reach(Command::Run, 16);
    let last = headless::run(&session, Limits { steps: None, patience: PATIENCE }, |_| {}).unwrap();
    assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{:?}", last.verdict);
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let cases = [
        ("true", "ended (exit status: 0); expected the header of a trace"),
        ("paritty-no-such-program", "give its path"),
        ("'a", "a quotation mark is not closed"),
        ("", "names no program"),
        ("yes", "does not speak the protocol"),
        (
            &script("echo 'no GPU' >&2; exit 3"),
            "ended (exit status: 3); expected the header of a trace in answer to `load`; it last said: no GPU",
        ),
        (&script(r#"echo '{"error":"out of memory \u001b[2J"}'; cat >/dev/null"#), "refuses: out of memory"),
        (&script("kill -SEGV $$"), "ended (signal: 11"),
    ];
    for (command, said) in cases {
        let failure = failure(&against_recorded(command));
        assert!(failure.contains(said), "{command}: {failure}");
        assert!(!failure.contains('\u{1b}'), "{failure:?}");
    }
}

#[test]
fn a_program_that_hangs_is_given_up_and_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut config = against_recorded(&script(&format!("sleep 600 & echo $! >{}; wait", pid.display())));
    config.patience = Duration::from_secs(1);
    let failure = failure(&config);
    assert!(failure.contains("has been silent for 1 s"), "{failure}");
    // The session has ended, and with it everything that the program started.
    let pid: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let until = Instant::now() + PATIENCE;
    while Path::new(&format!("/proc/{pid}/stat")).exists()
        && !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z")
    {
        assert!(Instant::now() < until, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ending_a_session_does_not_wait_for_a_program_that_hangs() {
    let config = against_recorded(&script("sleep 600"));
    let session = Session::start(&config).unwrap();
    let began = Instant::now();
    drop(session);
    assert!(began.elapsed() < PATIENCE / 2);
}

/// What was computed before a crash stays, and is compared.
#[test]
fn a_crash_in_mid_run_keeps_what_was_there() {
    // Four requests are let through: to load, and three positions.
    let command = script(&format!("{} | {}", requests(4), serve("")));
    let (_session, last) = run(&against_recorded(&command));
    assert!(matches!(last.candidate.state, SourceState::Failed(_)), "{:?}", last.candidate.state);
    assert_eq!(last.candidate.positions, 3);
    let complete = last.columns.iter().filter(|c| c.complete && !c.cells.is_empty()).count();
    assert!(complete >= 3, "{complete}");
}

#[test]
fn a_program_that_failed_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let (mark, serve, one) = (mark.display(), serve(""), requests(2));
    let command = script(&format!("test -e {mark} && exec {serve}; touch {mark}; {one} | {serve}"));
    let (session, last) = run(&against_recorded(&command));
    assert!(matches!(last.candidate.state, SourceState::Failed(_)), "{:?}", last.candidate.state);
    session.link().commands.blocking_send(Command::Restart).unwrap();
    let until = Instant::now() + PATIENCE;
    let mut link = session.link();
    while link.snapshots.borrow_and_update().candidate.positions < 16 {
        assert!(Instant::now() < until, "it did not start anew");
        std::thread::sleep(Duration::from_millis(10));
    }
    let last = headless::run(&session, Limits { steps: None, patience: PATIENCE }, |_| {}).unwrap();
    assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{:?}", last.verdict);
}
