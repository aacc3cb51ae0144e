//! Sessions that are stepped like a program in a debugger: conditions, breakpoints, speed, feeds, and the
//! candidate computed anew with something changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paritty::compare::{Column, Verdict};
use paritty::engine::cpu::CpuOptions;
use paritty::fault::Injections;
use paritty::model::Checkpoint;
use paritty::session::{
    CHANGES, Command, Config, Feed, Link, Pace, RunState, STOPS, Session, Snapshot, Source, SourceState,
    Stop, Tokens,
};

/// No test waits this long unless something hangs.
const PATIENCE: Duration = Duration::from_mins(1);

fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(path)
}

/// The recorded llama.cpp, 16 positions, beside our engine, which waits for commands.
fn recorded() -> Config {
    let reference = Source::Trace(asset("traces/shakespeare-f16.jsonl"));
    Config {
        patience: PATIENCE,
        cpu: CpuOptions { threads: 1, kv_f16: false },
        running: false,
        ..Config::new(asset("models/shakespeare-f16.gguf"), reference, Source::Cpu)
    }
}

fn faulty(fault: &str) -> Config {
    Config { faults: faults(fault), ..recorded() }
}

fn faults(ids: &str) -> Injections {
    Injections::new(ids.split(',').map(|id| id.parse().unwrap()).collect())
}

struct Driven {
    session: Session,
    link: Link,
}

impl Driven {
    fn start(config: &Config) -> Self {
        let session = Session::start(config).unwrap();
        let link = session.link();
        Self { session, link }
    }

    fn send(&self, command: Command) {
        self.link.commands.blocking_send(command).unwrap();
    }

    fn rerun(&mut self, change: &str) -> Arc<Snapshot> {
        self.send(Command::Rerun(change.parse().unwrap()));
        let start = format!("{change}: ");
        let told =
            |s: &Snapshot| s.message.as_ref().is_some_and(|m| m.starts_with(&start) && !m.contains("anew"));
        self.wait(change, told)
    }

    /// What is said to a change that cannot be made.
    fn refused(&mut self, change: &str, said: &str) {
        self.send(Command::Rerun(change.parse().unwrap()));
        let text = said.to_owned();
        let last = self.wait(change, |s| s.message.as_ref().is_some_and(|m| m.contains(&text)));
        assert_eq!(last.stepping.changes, [""; 0]);
    }

    /// Runs until this is met, and gives back what the session shows then.
    fn until(&mut self, stop: &str) -> Arc<Snapshot> {
        let before = Arc::clone(&self.link.snapshots.borrow().stepping);
        self.send(Command::RunUntil(stop.parse().unwrap()));
        self.wait(stop, |s| s.stepping.stopped.is_some() && s.stepping != before)
    }

    fn wait(&mut self, what: &str, is: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = Arc::clone(&self.link.snapshots.borrow_and_update());
            if is(&snapshot) {
                return snapshot;
            }
            if Instant::now() > deadline {
                let Snapshot { reference, candidate, run, step, stepping, message, .. } = &*snapshot;
                panic!("{what}: {reference:?}\n{candidate:?}\n{run:?} at {step}\n{stepping:?}\n{message:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn complete(snapshot: &Snapshot) -> usize {
    snapshot.columns.iter().filter(|c| c.complete).count()
}

fn stopped(snapshot: &Snapshot) -> (u32, &str) {
    let (position, why) = snapshot.stepping.stopped.as_ref().unwrap();
    (*position, why)
}

fn first_divergence(snapshot: &Snapshot) -> Option<(u32, String)> {
    match &*snapshot.verdict {
        Verdict::Diverged { first, .. } => Some((first.position, first.checkpoint.to_string())),
        _ => None,
    }
}

fn is_within_noise(snapshot: &Snapshot) -> bool {
    matches!(*snapshot.verdict, Verdict::WithinNoise { .. })
}

/// Where `is` holds first, in the whole run of `config`.
fn first_column(config: &Config, is: impl Fn(&Column) -> bool) -> u32 {
    let mut driven = Driven::start(config);
    driven.send(Command::Run);
    let last = driven.wait("the whole run", |s| s.run == RunState::Finished && complete(s) == 16);
    last.columns.iter().find(|c| is(c)).unwrap().position
}

/// A run ends where its condition is met: at that position, and no engine is beyond it.
fn ends_at(config: &Config, stop: &str, position: u32, said: &str) {
    let mut driven = Driven::start(config);
    let last = driven.until(stop);
    assert_eq!(last.run, RunState::Paused, "{stop}");
    let (at, why) = stopped(&last);
    assert!(at == position && why.contains(said), "{stop}: {at} {why}");
    assert_eq!((last.step, complete(&last)), (position + 1, position as usize + 1), "{stop}");
    assert_eq!(last.stepping.until, None);
    // It stays there.
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(driven.link.snapshots.borrow().step, position + 1);
}

#[test]
fn every_condition_ends_a_run_where_it_is_met() {
    ends_at(&recorded(), "position 5", 5, "position 5 is computed");
    // RoPE changes nothing at position 0.
    ends_at(&faulty("rope-pairing"), "divergence", 1, "rope-0, ");
    let beyond = |c: &Column| {
        c.cells.iter().any(|cell| match cell.state {
            paritty::compare::CellState::Compared { severity, .. } => severity.0 >= 3000.0,
            _ => false,
        })
    };
    let rope = faulty("rope-pairing");
    ends_at(&rope, "severity 3000", first_column(&rope, beyond), "the noise");
    let differs = first_column(&rope, |c| c.logits.is_some_and(|l| !l.top1_agrees));
    ends_at(&rope, "argmax", differs, "most likely tokens differ");
}

#[test]
fn texts_of_tokens_end_a_run() {
    let mut driven = Driven::start(&recorded());
    driven.send(Command::Run);
    let all = driven.wait("the whole run", |s| s.run == RunState::Finished && complete(s) == 16);
    let wanted = &all.tokens[7];
    let first = all.tokens.iter().find(|t| t.text == wanted.text).unwrap().position;
    let exact = format!("^{}$", regex::escape(&wanted.text));
    ends_at(&recorded(), &format!("token {exact}"), first, "the token ‘");
}

/// The recorded trace with a value of `checkpoint` at `position` replaced.
fn spoilt(folder: &Path, position: u32, checkpoint: &str, value: f32) -> PathBuf {
    let from = asset("traces/shakespeare-f16.jsonl");
    let to = folder.join("spoilt.jsonl");
    let mut bytes = std::fs::read(from.with_extension("bin")).unwrap();
    let mut out = std::fs::File::create(&to).unwrap();
    let mut hit = false;
    for line in std::fs::read_to_string(&from).unwrap().lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        if json["checkpoint"] == checkpoint && json["token_idx"] == position {
            let at = json["offset"].as_u64().unwrap() as usize;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            hit = true;
        }
        writeln!(out, "{}", line.replace("shakespeare-f16.bin", "spoilt.bin")).unwrap();
    }
    assert!(hit, "the trace has {checkpoint} at {position}");
    std::fs::write(to.with_extension("bin"), bytes).unwrap();
    to
}

#[test]
fn values_that_are_none_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    for (value, stop, said) in [
        (f32::NAN, "nonfinite", "1 value of the reference's ffn_inp-1 NaN or infinite"),
        (f32::INFINITY, "nonfinite", "reference's ffn_inp-1"),
        (f32::NAN, "garbage", "garbage (nan) in the reference's ffn_inp-1"),
        (f32::NAN, "garbage nan", "garbage (nan) in the reference's ffn_inp-1"),
    ] {
        let trace = spoilt(folder.path(), 6, "ffn_inp-1", value);
        ends_at(&Config { reference: Source::Trace(trace), ..recorded() }, stop, 6, said);
    }
    let trace = spoilt(folder.path(), 6, "ffn_inp-1", f32::NAN);
    let mut driven = Driven::start(&Config { reference: Source::Trace(trace), ..recorded() });
    let last = driven.until("garbage all-zero");
    assert!(stopped(&last).1.contains("`garbage all-zero` was not met"), "{:?}", last.stepping);
    assert_eq!((last.run, last.step), (RunState::Finished, 16));
}

#[test]
fn what_is_not_met_ends_with_the_run_and_says_so() {
    let mut driven = Driven::start(&recorded());
    let last = driven.until("divergence");
    assert_eq!(stopped(&last), (15, "everything is computed, and `divergence` was not met"));
    assert_eq!(last.run, RunState::Finished);
    let last = driven.until("severity 2");
    assert!(stopped(&last).1.contains("everything is computed"), "{:?}", last.stepping);
    // A position that is computed already is gone back to.
    let last = driven.until("position 3");
    assert_eq!(stopped(&last), (3, "went back to position 3"));
    driven.wait("going back", |s| s.step == 4 && complete(s) == 4 && s.run == RunState::Paused);
    let last = driven.until("position 6");
    assert_eq!((stopped(&last).0, last.step), (6, 7));
}

#[test]
fn breakpoints_hold_every_run_and_only_once_each() {
    let mut driven = Driven::start(&faulty("rope-pairing"));
    let points: Vec<Stop> =
        ["position 9", "divergence", "position 3"].iter().map(|s| s.parse().unwrap()).collect();
    driven.send(Command::Breakpoints(points.clone()));
    for position in [1, 3, 9] {
        driven.send(Command::Run);
        let last =
            driven.wait("a breakpoint", |s| s.stepping.stopped.as_ref().is_some_and(|(p, _)| *p == position));
        assert_eq!(
            (last.run, last.step, complete(&last)),
            (RunState::Paused, position + 1, position as usize + 1)
        );
        assert_eq!(last.stepping.breakpoints, points);
    }
    driven.send(Command::Run);
    driven.wait("the end", |s| s.run == RunState::Finished && s.stepping.stopped.is_none());
    // Stepping back before one arms it again; a step tells of it, too.
    driven.until("position 2");
    driven.send(Command::Step);
    let last = driven.wait("a step", |s| s.step == 4 && s.stepping.stopped.is_some());
    assert_eq!(stopped(&last), (3, "position 3 is computed"));
    driven.send(Command::Breakpoints(Vec::new()));
    driven.send(Command::Run);
    driven.wait("the end", |s| s.run == RunState::Finished && s.step == 16);
}

/// Breakpoints that are set while engines are ahead of what was compared take effect where they hold.
#[test]
fn two_engines_stop_together() {
    let mut config = Config { reference: Source::Oracle, ..faulty("norm-epsilon@2") };
    (config.tokens, config.generate) = (Tokens::Prompt("ROMEO:\n".into()), 8);
    let mut driven = Driven::start(&config);
    let last = driven.until("divergence");
    let (position, _) = stopped(&last);
    assert_eq!(first_divergence(&last).unwrap().0, position);
    assert_eq!(last.step, position + 1);
    let last = driven.wait("both there", |s| s.reference.positions == position + 1);
    assert_eq!(last.candidate.positions, position + 1);
    // Asked for again, it says that this is known.
    let last = driven.until("divergence");
    assert!(stopped(&last).1.contains("part already"), "{:?}", last.stepping);
    let last = driven.until("severity 1");
    assert_eq!(stopped(&last).0, position + 1);
}

#[test]
fn speed_is_limited_and_can_be_changed_on_the_way() {
    let mut driven = Driven::start(&recorded());
    for wrong in [0.0, -3.0, f32::NAN, f32::INFINITY] {
        driven.send(Command::Speed(Some(wrong)));
        driven.wait("a refusal", |s| s.message.as_ref().is_some_and(|m| m.contains("above 0")));
    }
    driven.send(Command::Speed(Some(20.0)));
    let began = Instant::now();
    driven.send(Command::Run);
    let last = driven.wait("five positions", |s| complete(s) >= 5);
    // The first is due at once, the fifth after four pauses of 50 ms.
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(last.stepping.speed, Some(20.0));
    // An hour a position; a key does not wait for that.
    driven.send(Command::Speed(Some(1.0 / 3600.0)));
    driven.send(Command::Pause);
    driven.wait("the pause", |s| s.run == RunState::Paused);
    driven.send(Command::Speed(None));
    driven.send(Command::Run);
    driven.wait("the end", |s| s.run == RunState::Finished && s.stepping.speed.is_none());
}

#[test]
fn each_side_continues_with_its_own_tokens_and_the_fork_shows() {
    let mut config = faulty("rope-pairing");
    (config.reference, config.tokens) = (Source::Oracle, Tokens::Prompt("ROMEO:\nO, ".into()));
    config.generate = 10;
    let mut driven = Driven::start(&config);
    driven.send(Command::Feed(Feed::Free));
    driven.send(Command::Run);
    let free = driven
        .wait("the end", |s| s.run == RunState::Finished && s.candidate.positions == s.reference.positions);
    assert_eq!(free.stepping.feed, Feed::Free);
    let n_prompt = free.tokens.iter().filter(|t| t.from_prompt).count() as u32;
    let fork = free.stepping.fork.expect("so wrong an engine says something else");
    assert!(fork >= n_prompt, "{fork}");
    let there = free.tokens.iter().find(|t| t.position == fork).unwrap();
    let (id, text) = there.candidate.as_ref().unwrap();
    assert!(Some(*id) != there.id && !text.is_empty());
    assert!(free.tokens.iter().all(|t| t.position >= fork || t.candidate.is_none()));
    assert_eq!(free.tokens.len() as u32, n_prompt + 10);
    assert!(free.columns.iter().all(|c| c.position < fork || c.cells.is_empty()), "nothing to compare there");

    // Forced again, the candidate gets the reference's tokens from the fork on.
    driven.send(Command::Feed(Feed::Reference));
    let forced = driven.wait("forcing", |s| {
        s.run == RunState::Finished && s.stepping.fork.is_none() && complete(s) as u32 == n_prompt + 10
    });
    assert!(forced.columns.iter().all(|c| c.complete && !c.cells.is_empty()));
    let ids = |s: &Snapshot| s.tokens.iter().map(|t| t.id).collect::<Vec<_>>();
    assert_eq!(ids(&free), ids(&forced), "the reference's are the same");
}

#[test]
fn free_running_beside_a_trace_keeps_to_its_prompt_and_length() {
    let mut driven = Driven::start(&faulty("attention-scale"));
    driven.send(Command::Feed(Feed::Free));
    driven.send(Command::Run);
    let last = driven.wait("the end", |s| s.run == RunState::Finished && s.candidate.positions == 16);
    assert_eq!(last.tokens.len(), 16);
    let fork = last.stepping.fork.expect("so wrong an engine says something else");
    assert!(!last.tokens[fork as usize].from_prompt);
    driven.send(Command::Feed(Feed::Reference));
    driven.wait("forcing", |s| s.stepping.fork.is_none() && complete(s) == 16);
}

/// What if this checkpoint were right? With the faulty node's outputs given at every position, nothing is left.
#[test]
fn grafts_of_the_faulty_node_make_the_rest_agree() {
    let mut driven = Driven::start(&faulty("norm-epsilon@1"));
    driven.send(Command::Run);
    let last = driven.wait("the end", |s| s.run == RunState::Finished && complete(s) == 16);
    let (position, at) = first_divergence(&last).expect("the fault shows");
    assert!(["attn_norm-1", "ffn_norm-1"].contains(&at.as_str()), "{at} at {position}");
    let grafts: Vec<String> =
        (0..16).flat_map(|p| ["attn_norm-1", "ffn_norm-1"].map(|at| format!("graft {at} at {p}"))).collect();
    let mut last = last;
    for graft in &grafts {
        last = driven.rerun(graft);
    }
    assert!(is_within_noise(&last), "{:?}", last.verdict);
    assert_eq!((last.step, complete(&last), last.stepping.changes.len()), (16, 16, 32));
    assert_eq!(last.message.as_deref(), Some("graft ffn_norm-1 at 15: within noise"));
    // Grafted cells are the reference's, bit for bit.
    let cell = last.columns[3].cell("attn_norm-1".parse().unwrap()).unwrap();
    let paritty::compare::CellState::Compared { metrics, .. } = cell.state else { panic!("{cell:?}") };
    assert_eq!(metrics.max_abs, 0.0);
    // Taken back, it is as it was.
    let last = driven.rerun("undo");
    assert_eq!(first_divergence(&last), Some((position, at)));
    assert_eq!((complete(&last), last.stepping.changes.as_slice()), (16, &[] as &[String]));
}

/// Attention probabilities have as many values as positions; llama.cpp records them padded.
#[test]
fn grafts_at_the_cursor_of_a_paused_session() {
    let mut driven = Driven::start(&faulty("attention-scale"));
    driven.until("position 4");
    let last = driven.rerun("graft kq_soft_max-0 at 4");
    assert_eq!((last.step, complete(&last), last.run), (5, 5, RunState::Paused));
    let cell = last.columns[4].cell("kq_soft_max-0".parse().unwrap()).unwrap();
    let paritty::compare::CellState::Compared { metrics, .. } = cell.state else { panic!("{cell:?}") };
    assert_eq!((metrics.max_abs, metrics.compared), (0.0, metrics.of));
    assert_eq!(last.stepping.changes, ["graft kq_soft_max-0 at 4"]);
}

#[test]
fn what_cannot_be_grafted_is_said() {
    let mut driven = Driven::start(&recorded());
    driven.until("position 2");
    driven.refused("graft Qcur_mm-0 at 1", "no checkpoint Qcur_mm-0");
    driven.refused("graft Qcur-99 at 1", "no checkpoint Qcur-99");
    driven.refused("fault bos-missing", "changes the prompt");
    driven.refused("fault norm-epsilon@99", "layer 99");
    driven.refused("undo", "nothing is changed");
    driven.refused("kv f32", "it is so already");
    driven.refused("engine no-such-engine", "no such file");

    let trace = Source::Trace(asset("traces/shakespeare-f16.jsonl"));
    let mut driven = Driven::start(&Config { candidate: trace, ..recorded() });
    driven.refused("graft Qcur-0 at 1", "the candidate is a trace; `engine cpu` computes it with ours");
    driven.refused("kv f16", "the candidate is a trace");
    driven.refused("fault norm-epsilon", "the candidate is a trace");
}

#[test]
fn another_engine_another_arithmetic_another_fault_and_back() {
    let mut driven = Driven::start(&faulty("rope-pairing"));
    let at_8 = driven.until("position 8");
    assert!(first_divergence(&at_8).is_some());
    let oracle = driven.rerun("engine oracle");
    assert_eq!((oracle.candidate.backend.as_str(), oracle.step, complete(&oracle)), ("oracle", 9, 9));
    assert!(first_divergence(&oracle).is_some(), "the fault stays");
    let right = driven.rerun("fault none");
    assert!(is_within_noise(&right), "{:?}", right.verdict);
    assert_eq!((right.run, right.step), (RunState::Paused, 9));
    assert_eq!(right.stepping.changes, ["engine oracle", "fault none"]);
    assert_eq!(right.candidate.remark, None);
    let f16 = driven.rerun("kv f16");
    assert_eq!(f16.candidate.positions, 9);
    let wrong = driven.rerun("fault norm-epsilon@2");
    assert_eq!(wrong.stepping.changes, ["engine oracle", "kv f16", "fault norm-epsilon@2"]);
    assert_eq!(wrong.candidate.remark.as_deref(), Some("fault: norm-epsilon@2"));
    let back = driven.rerun("undo");
    assert_eq!(first_divergence(&back), first_divergence(&at_8));
    assert_eq!(back.stepping.changes, [""; 0]);
    // It goes on from there.
    driven.send(Command::Run);
    driven.wait("the end", |s| s.run == RunState::Finished && complete(s) == 16);
}

#[test]
fn a_trace_as_candidate_is_replaced_by_an_engine() {
    let trace = Source::Trace(asset("traces/shakespeare-f16.jsonl"));
    let mut driven = Driven::start(&Config { candidate: trace, ..recorded() });
    driven.wait("two traces", |s| s.run == RunState::Static && complete(s) == 16);
    let last = driven.rerun("engine cpu");
    assert_eq!((last.candidate.team.as_str(), complete(&last), last.step), ("paritty", 16, 16));
    assert!(is_within_noise(&last), "{:?}", last.verdict);
    let last = driven.rerun("fault rope-pairing");
    assert_eq!(first_divergence(&last).unwrap().0, 1);
    let last = driven.rerun("undo");
    assert_eq!((last.candidate.team.as_str(), last.run), ("llama.cpp", RunState::Static));
}

/// Conditions look for positions in what is there, one after the other.
#[test]
fn conditions_search_two_traces() {
    let folder = tempfile::tempdir().unwrap();
    let trace = spoilt(folder.path(), 6, "ffn_inp-1", f32::NAN);
    let candidate = Source::Trace(asset("traces/shakespeare-f16.jsonl"));
    let mut driven = Driven::start(&Config { reference: Source::Trace(trace), candidate, ..recorded() });
    driven.wait("two traces", |s| complete(s) == 16);
    let last = driven.until("nonfinite");
    assert_eq!((stopped(&last).0, last.run), (6, RunState::Static));
    driven.send(Command::RunUntil("nonfinite".parse().unwrap()));
    let last = driven.wait("the next", |s| s.stepping.stopped.as_ref().is_some_and(|(p, _)| *p != 6));
    assert!(stopped(&last).1.contains("was not met"), "{:?}", last.stepping);
}

#[test]
fn an_engine_that_cannot_start_is_undone() {
    let mut driven = Driven::start(&recorded());
    driven.until("position 3");
    let last = driven.rerun("engine cmd:paritty-no-such-program");
    assert!(last.message.as_ref().unwrap().contains("`undo` goes back"), "{:?}", last.message);
    driven.wait(
        "the failure",
        |s| matches!(&s.candidate.state, SourceState::Failed(why) if why.contains("no-such-program")),
    );
    let last = driven.rerun("undo");
    assert_eq!((last.step, complete(&last)), (4, 4));
    assert!(is_within_noise(&last), "{:?}", last.verdict);
}

/// A run with conditions waits for a reference that does not grow; commands do not wait for it.
#[test]
fn a_reference_that_stalls_holds_the_run_and_not_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grows.jsonl");
    let text = std::fs::read_to_string(asset("traces/shakespeare-f16.jsonl")).unwrap();
    let text = text.replace("shakespeare-f16.bin", "grows.bin");
    std::fs::copy(asset("traces/shakespeare-f16.bin"), path.with_extension("bin")).unwrap();
    let end = text.find("{\"token_idx\":5,").unwrap();
    std::fs::write(&path, &text[..end]).unwrap();
    let mut config = Config { reference: Source::Trace(path.clone()), ..faulty("rope-base@0") };
    // Tokens beyond the trace's come from the prompt, so that the engine could run ahead.
    let ids: Vec<u32> = {
        let mut driven = Driven::start(&recorded());
        driven
            .wait("the trace", |s| s.reference.positions == 16)
            .tokens
            .iter()
            .map(|t| t.id.unwrap())
            .collect()
    };
    config.tokens = Tokens::Ids(ids);
    let mut driven = Driven::start(&config);
    driven.send(Command::RunUntil("position 12".parse().unwrap()));
    driven.wait("five compared", |s| complete(s) == 5 && s.step == 6);
    std::thread::sleep(Duration::from_millis(50));
    let waiting = Arc::clone(&driven.link.snapshots.borrow());
    assert_eq!((waiting.step, waiting.run), (6, RunState::Running), "one position ahead at most");
    driven.send(Command::Pause);
    driven.wait("the pause", |s| s.run == RunState::Paused && s.stepping.until.is_none());
    driven.send(Command::Step);
    driven.wait("a step ahead", |s| s.step == 7);
    driven.send(Command::RunUntil("position 12".parse().unwrap()));
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&text.as_bytes()[end..]).unwrap();
    let last = driven.wait("the reference's rest", |s| s.stepping.stopped.is_some());
    assert_eq!((stopped(&last).0, last.step), (12, 13));
}

#[test]
fn a_replayed_reference_is_stepped_alike() {
    let pace = Pace { per_position: Duration::from_millis(5), speed: None };
    let mut driven = Driven::start(&Config { replay: Some(pace), ..faulty("rope-pairing") });
    let last = driven.until("divergence");
    assert_eq!((stopped(&last).0, last.step), (1, 2));
    let last = driven.rerun("graft Qcur_rope-0 at 1");
    let still = first_divergence(&last).unwrap();
    assert_eq!(still, (1, "Kcur_rope-0".to_owned()), "the keys are wrong, too");
    driven.send(Command::Run);
    driven.wait("the end", |s| s.run == RunState::Finished && complete(s) == 16);
}

/// Whoever steps by hand sees a verdict at every position; in a right engine none is an alarm.
#[test]
fn right_engines_raise_no_alarm_at_any_position() {
    let mut demos = 0;
    for entry in std::fs::read_dir(asset("models")).unwrap() {
        let model = entry.unwrap().path();
        let trace = asset("traces").join(model.with_extension("jsonl").file_name().unwrap());
        if !trace.exists() {
            continue;
        }
        demos += 1;
        let mut driven =
            Driven::start(&Config { model, reference: Source::Trace(trace.clone()), ..recorded() });
        for n in 1..=12 {
            driven.send(Command::Step);
            let last = driven
                .wait("a step", |s| s.step == n && complete(s) == n as usize && s.run == RunState::Paused);
            assert!(is_within_noise(&last), "{} at {n}: {:?}", trace.display(), last.verdict);
        }
        let last = driven.until("divergence");
        assert!(stopped(&last).1.contains("was not met"), "{}: {:?}", trace.display(), last.stepping);
    }
    assert!(demos >= 7, "{demos}");
}

#[test]
fn the_readme_lists_every_condition_and_change() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for (form, _) in STOPS.iter().chain(CHANGES) {
        assert!(readme.contains(&format!("| `{}` |", form.replace('|', "\\|"))), "{form}");
    }
}

mod commands {
    fn demo(args: &[&str]) -> (i32, String, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paritty"));
        let output =
            command.args(["demo", "--model", "shakespeare-f16", "--headless"]).args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    #[test]
    fn a_headless_run_ends_where_its_condition_is_met() {
        let (code, out, _) = demo(&["--fault", "rope-pairing", "--until", "divergence"]);
        assert_eq!(code, 1);
        assert!(out.contains("stopped at position 1: the runs part"), "{out}");
        assert!(out.contains("ready 2") && out.contains("compared at 2 positions"), "{out}");
        let (code, out, _) = demo(&["--break", "position 9", "--break", "token \\S{3}", "--json"]);
        assert_eq!(code, 0);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let position = json["stepping"]["stopped"]["position"].as_u64().unwrap();
        assert!(position < 9 && json["candidate"]["positions"] == position + 1, "{}", json["stepping"]);
        let (_, out, _) = demo(&["--fault", "attention-scale", "--free", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let fork = json["stepping"]["fork"].as_u64().expect("a fork") as usize;
        assert!(json["positions"][fork]["candidate_token"].is_u64(), "{}", json["positions"][fork]);
    }

    #[test]
    fn what_is_no_condition_or_speed_is_refused() {
        for (args, said) in [
            (["--until", "diverge"], "there are: position N, divergence"),
            (["--break", "garbage soup"], "heap-pointer"),
            (["--speed", "0"], "positions a second"),
            (["--speed", "NaN"], "positions a second"),
        ] {
            let (code, _, error) = demo(&args);
            assert!(code == 2 && error.contains(said), "{args:?}: {error}");
        }
    }
}

#[cfg(unix)]
mod programs {
    use super::*;

    fn serve(arguments: &str) -> Source {
        let program = env!("CARGO_BIN_EXE_paritty").replace('\'', r"'\''");
        Source::Program(format!("'{program}' serve --threads 1 {arguments}"))
    }

    #[test]
    fn a_program_stops_at_conditions_and_is_replaced() {
        let mut driven = Driven::start(&Config { candidate: serve("--fault rope-pairing"), ..recorded() });
        let last = driven.until("divergence");
        assert_eq!((stopped(&last).0, last.step), (1, 2), "{:?}", last.stepping);
        driven.refused("graft Qcur_rope-0 at 1", "whose protocol has no grafts; `engine cpu` computes it");
        driven.refused("kv f16", "its own settings");
        let last = driven.until("position 7");
        assert_eq!(last.step, 8);
        let last = driven.rerun("engine cpu");
        assert!(is_within_noise(&last) && complete(&last) == 8, "{:?}", last.verdict);
        let last = driven.rerun("undo");
        assert_eq!((first_divergence(&last).unwrap().0, complete(&last)), (1, 8));
    }

    #[test]
    fn a_program_continues_with_its_own_tokens() {
        let mut config = Config { candidate: serve("--fault rope-pairing"), ..recorded() };
        (config.reference, config.tokens) = (Source::Cpu, Tokens::Prompt("ROMEO:\nO, ".into()));
        config.generate = 6;
        let mut driven = Driven::start(&config);
        driven.send(Command::Feed(Feed::Free));
        driven.send(Command::Run);
        let last = driven.wait("the end", |s| s.run == RunState::Finished && s.stepping.fork.is_some());
        let fork = last.stepping.fork.unwrap();
        assert!(last.tokens[fork as usize].candidate.is_some());
    }

    /// Started anew after a failure, a session with conditions goes on to where it was and stops as before.
    #[test]
    fn a_program_that_failed_is_started_anew_and_stops() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let (mark, Source::Program(serve)) = (mark.display(), serve("--fault rope-base@3")) else { panic!() };
        let requests = "n=5; while [ $n -gt 0 ] && read -r line; do echo \"$line\"; n=$((n-1)); done";
        let script = format!("test -e {mark} && exec {serve}; touch {mark}; {requests} | {serve}");
        let command = format!("sh -c '{}'", script.replace('\'', r"'\''"));
        let mut driven = Driven::start(&Config { candidate: Source::Program(command), ..recorded() });
        driven.send(Command::RunUntil("position 9".parse().unwrap()));
        let failed = driven.wait("the failure", |s| matches!(s.candidate.state, SourceState::Failed(_)));
        assert_eq!(failed.candidate.positions, 4);
        let why = driven.wait("why it ended", |s| s.stepping.stopped.is_some());
        assert!(stopped(&why).1.contains("the candidate failed, and `position 9`"), "{:?}", why.stepping);
        driven.send(Command::Restart);
        let last = driven.until("position 9");
        assert_eq!((last.step, complete(&last)), (10, 10));
    }
}

#[test]
fn grafts_outlive_a_restart_of_their_engine_by_undo_and_redo() {
    let mut driven = Driven::start(&recorded());
    driven.until("position 5");
    let at: Checkpoint = "l_out-0".parse().unwrap();
    driven.rerun("graft l_out-0 at 2");
    // Another engine keeps them.
    let last = driven.rerun("engine oracle");
    let cell = last.columns[2].cell(at).unwrap();
    let paritty::compare::CellState::Compared { metrics, .. } = cell.state else { panic!("{cell:?}") };
    assert_eq!(metrics.max_abs, 0.0);
    assert_eq!(last.stepping.changes, ["engine oracle", "graft l_out-0 at 2"]);
    drop(driven.session);
}
