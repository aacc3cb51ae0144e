//! What a session shows beside the cell under the cursor: layers, scores, rankings, records, diagnoses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paritty::compare::{Comparison, Ranking};
use paritty::fault::Injections;
use paritty::model::{Checkpoint, Site};
use paritty::session::headless::{self, Limits};
use paritty::session::{
    Command, Config, DiagnosisState, Focus, Needs, Session, Snapshot, Source, Still, Tokens, Wanted, Which,
};
use paritty::trace::{Store, Tensor};

/// No test waits this long unless something hangs.
const PATIENCE: Duration = Duration::from_mins(3);

fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(path)
}

fn recorded(name: &str) -> PathBuf {
    asset(&format!("traces/{name}.jsonl"))
}

/// A recorded run on one side, our engine on the other.
fn config(fault: Option<&str>) -> Config {
    let reference = Source::Trace(recorded("shakespeare-f16"));
    Config {
        patience: PATIENCE,
        faults: Injections::new(fault.map(|f| f.parse().unwrap()).into_iter().collect()),
        running: false,
        ..Config::new(asset("models/shakespeare-f16.gguf"), reference, Source::Cpu)
    }
}

fn wait(session: &Session, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut link = session.link();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let snapshot = Arc::clone(&link.snapshots.borrow_and_update());
        if what(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "{snapshot:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn send(session: &Session, command: Command) {
    session.link().commands.blocking_send(command).unwrap();
}

/// What is seen of a trace that is held against itself.
fn look(store: &Store, wanted: Wanted) -> Focus {
    let mut comparison = Comparison::new();
    comparison.update(store, store, &store.positions().collect::<Vec<_>>());
    Still::new(store, Some(store), &comparison).look(wanted)
}

fn wanted(position: u32, checkpoint: Checkpoint, ranking: Ranking) -> Wanted {
    Wanted { position, checkpoint, needs: Needs { layers: true, scores: true, ranking } }
}

#[test]
fn a_site_is_shown_in_every_layer_that_has_it() {
    let store = Store::load(&recorded("shakespeare-f16")).unwrap();
    let n_layer = store.header().unwrap().model.n_layer;
    let seen = look(&store, wanted(3, Checkpoint::layer(Site::Vcur, 1), Ranking::Reference));
    let rows = &seen.layers.as_ref().unwrap().rows;
    assert_eq!(rows.len(), n_layer as usize);
    for (layer, row) in rows.iter().enumerate() {
        assert_eq!(row.checkpoint, Checkpoint::layer(Site::Vcur, layer));
        let mut values = Tensor::default();
        assert!(store.read(3, row.checkpoint, &mut values).unwrap());
        assert_eq!(row.reference.as_deref(), Some(&values));
        assert_eq!(row.candidate, row.reference);
        assert!(row.severity.is_some());
    }
    let outside = look(&store, wanted(3, Checkpoint::LOGITS, Ranking::Reference));
    assert_eq!(outside.layers.unwrap().rows.len(), 1, "a site outside the layers is there once");
}

#[test]
fn scores_are_probabilities_over_the_visible_positions() {
    let store = Store::load(&recorded("shakespeare-f16")).unwrap();
    let seen = look(&store, wanted(5, Checkpoint::layer(Site::Kcur, 1), Ranking::Reference));
    let scores = seen.scores.as_ref().unwrap().reference.as_ref().unwrap().clone();
    assert_eq!(scores.checkpoint, Checkpoint::layer(Site::KqSoftMax, 1));
    assert_eq!(scores.tensor.shape[0], 6, "position 5 sees six positions");
    for head in scores.tensor.values.chunks(6) {
        // f32 probabilities that a softmax has normalised: six roundings of 6e-8.
        assert!((head.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{head:?}");
    }
    let outside = look(&store, wanted(5, Checkpoint::LOGITS, Ranking::Reference));
    let reason = outside.scores.as_ref().unwrap().reference.clone().unwrap_err();
    assert!(reason.contains("no layer"), "{reason}");
}

#[test]
fn a_run_without_scores_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let reason = |settings: &str| {
        let path = folder.path().join("t.jsonl");
        let header = format!(
            r#"{{"paritty":1,"team":"x","backend":"CPU","model":{{"name":"m","arch":"llama"}},"settings":{settings}}}"#
        );
        let record = r#"{"checkpoint":"Kcur-0","token_idx":0,"dtype":"f32","shape":[2],"values":[1,2]}"#;
        fs::write(&path, format!("{header}\n{record}\n")).unwrap();
        let store = Store::load(&path).unwrap();
        let seen = look(&store, wanted(0, Checkpoint::layer(Site::Kcur, 0), Ranking::Reference));
        seen.scores.as_ref().unwrap().candidate.clone().unwrap_err()
    };
    assert!(reason(r#"{"flash_attn":true}"#).contains("flash attention"));
    assert!(reason(r#"{"flash_attn":false}"#).contains("kq_soft_max"));
}

#[test]
fn tokens_are_ordered_as_wanted_and_shown_from_both_sides() {
    let session = Session::start(&config(Some("final-norm-weight"))).unwrap();
    send(&session, Command::Run);
    wait(&session, |s| s.columns.iter().filter(|c| c.complete).count() >= 4);
    let ask = |ranking| {
        let wanted = wanted(2, Checkpoint::LOGITS, ranking);
        send(&session, Command::Focus(wanted));
        let seen = wait(&session, |s| s.focus.as_ref().is_some_and(|f| f.wanted == wanted));
        Arc::clone(seen.focus.as_ref().unwrap())
    };
    let reference = ask(Ranking::Reference);
    let listed: Vec<u32> = reference.top.rows.iter().map(|r| r.token).collect();
    assert_eq!(listed, reference.top.reference.iter().map(|e| e.token).collect::<Vec<_>>());
    assert!(reference.top.rows.iter().enumerate().all(|(i, r)| r.ranks[0] == Some(i as u32)));
    let candidate = ask(Ranking::Candidate);
    assert!(candidate.top.rows.iter().enumerate().all(|(i, r)| r.ranks[1] == Some(i as u32)));

    let difference = ask(Ranking::Difference);
    let apart = |p: [Option<f32>; 2]| (p[0].unwrap() - p[1].unwrap()).abs();
    let listed: Vec<f32> = difference.top.rows.iter().map(|r| apart(r.probabilities)).collect();
    // Both are rounded to f32 apart, and their difference was ordered before that.
    assert!(listed.windows(2).all(|w| w[0] >= w[1] - 1e-7), "{listed:?}");
    let largest = reference.top.rows.iter().chain(&candidate.top.rows).map(|r| apart(r.probabilities));
    assert!(listed[0] >= largest.fold(0.0, f32::max) - 1e-7);
    let named: BTreeSet<u32> = difference.pieces.iter().map(|p| p.0).collect();
    assert!(difference.top.rows.iter().all(|r| named.contains(&r.token)), "every listed token has a text");
}

#[test]
fn the_newest_records_are_kept_and_all_are_counted() {
    let mut config = config(None);
    config.candidate = Source::Trace(recorded("shakespeare-q4_k_m"));
    let session = Session::start(&config).unwrap();
    let last = headless::run(&session, Limits { steps: None, patience: PATIENCE }, |_| {}).unwrap();
    let lines = |name| {
        let text = fs::read_to_string(recorded(name)).unwrap();
        text.lines().filter(|l| l.contains("\"checkpoint\"")).count() as u64
    };
    assert_eq!(last.records.seen, [lines("shakespeare-f16"), lines("shakespeare-q4_k_m")]);
    let newest = &last.records.newest;
    assert_eq!(newest.len() as u64, 1000.min(last.records.seen.iter().sum()));
    assert!(newest.iter().zip(newest.iter().skip(1)).all(|(a, b)| a.serial < b.serial));
    let end = newest.back().unwrap();
    assert_eq!(end.serial + 1, last.records.seen.iter().sum::<u64>());
    assert_eq!((end.side, end.record.checkpoint), (Which::Candidate, Checkpoint::LOGITS));
    assert_eq!(end.record.op.as_deref(), Some("MUL_MAT"));
    assert_eq!(end.record.bytes, u64::from(end.record.len) * end.record.dtype.size() as u64);
}

#[test]
fn a_diagnosis_names_the_faulty_operation_and_its_cells() {
    let session = Session::start(&config(Some("rope-pairing"))).unwrap();
    send(&session, Command::Run);
    wait(&session, |s| s.columns.iter().filter(|c| c.complete).count() >= 4);
    send(&session, Command::Pause);
    send(&session, Command::Diagnose);
    let seen = wait(&session, |s| matches!(s.diagnosis, DiagnosisState::Done(_) | DiagnosisState::Failed(_)));
    let DiagnosisState::Done(found) = &seen.diagnosis else { panic!("{:?}", seen.diagnosis) };
    assert_eq!(found.sides.len(), 2);
    assert!(!found.faulty.is_empty());
    for faulty in &found.faulty {
        assert_eq!(faulty.side, Which::Candidate, "{faulty:?}");
        assert!(matches!(faulty.checkpoint.site(), Site::QcurRope | Site::KcurRope), "{faulty:?}");
        assert_eq!(faulty.mistake.as_deref(), Some("rope-pairing"), "{faulty:?}");
        assert!(found.is_faulty(Which::Candidate, faulty.worst_at, faulty.checkpoint));
        assert!(!faulty.evidence.is_empty());
    }
    let knocked_on = Checkpoint::layer(Site::Kq, 0);
    assert!(!found.is_faulty(Which::Candidate, 3, knocked_on), "what a fault reaches is not faulty itself");
    assert!(found.sentences.iter().any(|s| s.text.contains("candidate")), "{:?}", found.sentences);
}

#[test]
fn a_diagnosis_can_be_called_off_and_asked_for_again() {
    let session = Session::start(&config(None)).unwrap();
    send(&session, Command::Diagnose);
    send(&session, Command::CancelDiagnosis);
    wait(&session, |s| matches!(s.diagnosis, DiagnosisState::Cancelled));
    send(&session, Command::Diagnose);
    // Of the candidate nothing is computed yet: the reference is judged alone.
    let seen = wait(&session, |s| matches!(s.diagnosis, DiagnosisState::Done(_) | DiagnosisState::Failed(_)));
    let DiagnosisState::Done(found) = &seen.diagnosis else { panic!("{:?}", seen.diagnosis) };
    assert_eq!(found.sides.iter().map(|s| s.side).collect::<Vec<_>>(), [Which::Reference]);
    assert!(found.faulty.is_empty(), "{:?}", found.faulty);

    let mut nothing = config(None);
    nothing.reference = Source::Oracle;
    nothing.tokens = Tokens::Prompt("ROMEO:".into());
    let session = Session::start(&nothing).unwrap();
    send(&session, Command::Diagnose);
    let seen = wait(&session, |s| matches!(s.diagnosis, DiagnosisState::Failed(_)));
    let DiagnosisState::Failed(reason) = &seen.diagnosis else { panic!() };
    assert!(reason.contains("nothing is recorded"), "{reason}");
}
