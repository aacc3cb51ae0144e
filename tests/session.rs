//! Sessions without a screen, on the demo model: two engines, a replayed trace, faults.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paritty::compare::Verdict;
use paritty::fault::Injections;
use paritty::model::{Checkpoint, Site};
use paritty::session::headless::{self, Limits};
use paritty::session::{
    Command, Config, Pace, RunState, Session, Snapshot, Source, SourceState, Tokens, Wanted,
};

/// No test waits this long unless something hangs.
const PATIENCE: Duration = Duration::from_mins(1);

fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(path)
}

fn config(reference: Source, candidate: Source) -> Config {
    Config::new(asset("models/shakespeare-f16.gguf"), reference, candidate)
}

fn run(config: &Config, steps: Option<u32>) -> (Session, Arc<Snapshot>) {
    let session = Session::start(config).unwrap();
    let last = headless::run(&session, Limits { steps, patience: PATIENCE }, |_| {}).unwrap();
    (session, last)
}

/// A demo: a model beside a replay of its recorded trace.
fn demo(name: &str) -> Config {
    let mut config = config(Source::Trace(asset(&format!("traces/{name}.jsonl"))), Source::Cpu);
    config.model = asset(&format!("models/{name}.gguf"));
    config.replay = Some(Pace { per_position: Duration::from_millis(1), speed: None });
    config
}

fn replayed() -> Config {
    demo("shakespeare-f16")
}

#[test]
fn our_engine_is_within_noise_of_a_replayed_llama_cpp() {
    let (_session, last) = run(&replayed(), None);
    assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{:?}", last.verdict);
    assert_eq!(last.run, RunState::Finished);
    assert_eq!(last.reference.state, SourceState::Ended);
    assert_eq!(last.reference.team, "llama.cpp");
    assert_eq!(last.reference.remark.as_deref(), Some("replay of a recorded trace"));
    assert_eq!(last.reference.positions, last.candidate.positions);
    assert!(last.columns.len() >= 16 && last.columns.iter().all(|c| c.complete));
    assert_eq!(last.tokens[0].text, "<s>");
}

#[test]
fn every_demo_is_within_noise() {
    let mut names: Vec<String> = std::fs::read_dir(asset("models"))
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| asset(&format!("traces/{name}.jsonl")).exists())
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let (_session, last) = run(&demo(&name), None);
        assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{name}: {:?}", last.verdict);
        assert_eq!(last.candidate.positions, last.reference.expected.unwrap(), "{name}");
    }
}

#[test]
fn faults_are_led_to_their_operations() {
    for model in ["shakespeare-f16", "shakespeare-q4_k_m"] {
        faults_of(model);
    }
}

fn faults_of(model: &str) {
    let expected = [
        ("rope-pairing", &[Site::QcurRope, Site::KcurRope][..]),
        ("rope-base", &[Site::QcurRope, Site::KcurRope]),
        ("norm-epsilon", &[Site::AttnNorm]),
        ("final-norm-weight", &[Site::ResultNorm]),
        ("kv-off-by-one", &[Site::Kq, Site::KqvOut]),
        ("attention-scale", &[Site::KqSoftMax]),
        ("ffn-activation", &[Site::FfnSwiglu]),
    ];
    for (fault, sites) in expected {
        let mut config = demo(model);
        config.faults = Injections::new(vec![fault.parse().unwrap()]);
        let (_session, last) = run(&config, None);
        let Verdict::Diverged { first, .. } = &*last.verdict else {
            panic!("{model} {fault}: {:?}", last.verdict)
        };
        assert!(
            sites.contains(&first.checkpoint.site()),
            "{model} {fault}: first divergence at {}",
            first.checkpoint
        );
        if first.checkpoint.layer_index().is_some() {
            assert_eq!(first.checkpoint.layer_index(), Some(0), "{fault}: {}", first.checkpoint);
        }
        assert!(first.position <= 1, "{fault}: position {}", first.position);
        assert_eq!(last.candidate.remark, Some(format!("fault: {fault}")));
    }
}

fn wait(session: &Session, what: &dyn Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut link = session.link();
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let snapshot = Arc::clone(&link.snapshots.borrow_and_update());
        if what(&snapshot) {
            return snapshot;
        }
        assert!(std::time::Instant::now() < deadline, "{snapshot:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn records_of_an_unfinished_position_are_work_and_questions_are_answered_by_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let growing = folder.path().join("growing.jsonl");
    let text = std::fs::read_to_string(asset("traces/shakespeare-f16.jsonl")).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let write = |some: &[&str]| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&growing).unwrap();
        file.write_all(some.concat().as_bytes()).unwrap();
    };
    write(&lines[..20]);
    std::fs::copy(asset("traces/shakespeare-f16.bin"), folder.path().join("shakespeare-f16.bin")).unwrap();
    let both = [asset("traces/shakespeare-f16.jsonl"), growing.clone()].map(Source::Trace);
    let [reference, candidate] = both;
    let session = Session::start(&config(reference, candidate)).unwrap();
    let few = wait(&session, &|s| s.settled && s.columns.len() == 16);
    assert!(few.candidate.positions == 0 && few.work > 0);
    write(&lines[20..40]);
    let more = wait(&session, &|s| s.work > few.work && s.settled);
    assert_eq!(more.candidate.positions, 0);

    let commands = session.link().commands;
    let asked: Vec<Wanted> = (0..16).map(|position| Wanted::cell(position, Checkpoint::LOGITS)).collect();
    for &wanted in &asked {
        commands.blocking_send(Command::Focus(wanted)).unwrap();
    }
    let last = wait(&session, &|s| s.focus.as_ref().is_some_and(|f| f.wanted == asked[15]));
    let focus = last.focus.as_ref().unwrap();
    assert!(focus.reference.is_some() && focus.candidate.is_none());
}

#[test]
fn two_engines_generate_together_and_step_back() {
    let mut config = config(Source::Oracle, Source::Cpu);
    config.tokens = Tokens::Prompt("ROMEO:\n".into());
    config.generate = 6;
    config.running = false;
    let session = Session::start(&config).unwrap();
    let wait = |what: &dyn Fn(&Snapshot) -> bool| wait(&session, what);
    let commands = session.link().commands;
    let complete = |s: &Snapshot| s.columns.iter().filter(|c| c.complete).count();

    wait(&|s| s.revision > 0 && s.run == RunState::Paused && s.columns.is_empty());
    for n in 1..=3 {
        commands.blocking_send(Command::Step).unwrap();
        wait(&|s| complete(s) == n && s.step == n as u32);
    }
    commands.blocking_send(Command::Back).unwrap();
    wait(&|s| complete(s) == 2 && s.step == 2);
    commands.blocking_send(Command::Run).unwrap();
    let last = wait(&|s| s.run == RunState::Finished);
    let n_prompt = last.tokens.iter().filter(|t| t.from_prompt).count();
    assert_eq!(complete(&last), n_prompt + 6);
    assert!(matches!(*last.verdict, Verdict::WithinNoise { .. }), "{:?}", last.verdict);

    commands.blocking_send(Command::Focus(Wanted::cell(4, Checkpoint::layer(Site::KcurRope, 2)))).unwrap();
    let focused = wait(&|s| s.focus.as_ref().is_some_and(|f| f.position == 4));
    let focus = focused.focus.as_ref().unwrap();
    let (a, b) = (focus.reference.as_ref().unwrap(), focus.candidate.as_ref().unwrap());
    assert_eq!((a.values.len(), b.values.len()), (128, 128));
    assert!(focus.metrics.unwrap().nmse < 1e-10);
    assert_eq!(focus.top.reference[0].token, focus.top.candidate[0].token);
}

#[test]
fn what_cannot_start_says_why() {
    let start = |config: &Config| Session::start(config).unwrap_err().to_string();
    assert!(start(&config(Source::Cpu, Source::Oracle)).contains("--prompt"));
    let mut wrong = config(Source::Trace(asset("traces")), Source::Cpu);
    assert!(start(&wrong).contains("folder") || start(&wrong).contains("directory"), "{}", start(&wrong));
    wrong = replayed();
    wrong.faults = Injections::new(vec!["norm-epsilon@99".parse().unwrap()]);
    assert!(start(&wrong).contains("layer 99"));
    wrong = replayed();
    wrong.model = asset("traces/shakespeare-f16.jsonl");
    assert!(start(&wrong).contains("GGUF"), "{}", start(&wrong));
    wrong = config(Source::Oracle, Source::Cpu);
    wrong.tokens = Tokens::Ids(vec![1, 99_999]);
    assert!(start(&wrong).contains("99999"));
}
