//! The score on one model: the audit finds what a comparison cannot see, and neither raises an alarm.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use paritty::score::{self, Options, Row, Subject, Tally};
use tempfile::TempDir;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

fn run(faults: Option<&str>, folder: &TempDir) -> score::Score {
    let subject = Subject::recorded(
        "qwen2-q4_k_m",
        &asset("models/shakespeare-qwen2-q4_k_m.gguf"),
        &asset("traces/shakespeare-qwen2-q4_k_m.jsonl"),
        folder.path(),
    )
    .unwrap();
    let faults = faults.map(|f| regex::Regex::new(f).unwrap());
    let options = Options { quick: true, faults, models: None };
    score::score(&[subject], &options, folder.path(), &|_, _| {}).unwrap()
}

fn of<'a>(score: &'a score::Score, judge: &str) -> Vec<&'a Row> {
    score.rows.iter().filter(|r| r.judge == judge).collect()
}

#[test]
fn small_mistakes_are_found_by_the_audit_alone() {
    let folder = TempDir::new().unwrap();
    let score = run(Some("^(norm-epsilon|kq-f16|rope-pairing|nan-as-zero)$"), &folder);
    let tally = |judge: &str| Tally::of(of(&score, judge));
    assert_eq!(tally("audit").faulty, 3);
    assert_eq!(tally("audit").operation_rate(), Some(1.0), "{:#?}", of(&score, "audit"));
    let unseen = |fault: &str| {
        let rows = of(&score, "comparison");
        rows.iter().find(|r| r.mistake.as_ref().unwrap().0 == fault).unwrap().operation_right
    };
    assert_eq!(unseen("rope-pairing"), Some(true));
    // 3e-4 in one product of a model whose products are rounded to 7e-3.
    assert_eq!(unseen("kq-f16"), Some(false));
    // There is no NaN that could be recorded as 0.
    assert_eq!(score.not_counted.len(), 1);
    // Nothing that was written stays.
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "the clean run's two files");
}

#[test]
fn the_document_and_the_json_have_every_row() {
    let folder = TempDir::new().unwrap();
    let score = run(Some("^(rope-base|bos-missing|ten-values)$"), &folder);
    let json = score::json::json(&score);
    assert_eq!(json["rows"].as_array().unwrap().len(), 6);
    assert!(json["operation_rate"].is_number() && json["mistake_rate"].is_number());
    assert_eq!(json["false_alarms"], 0);
    let tokens = of(&score, "audit").into_iter().find(|r| r.trial == "bos-missing").unwrap();
    assert_eq!((tokens.operation_right, tokens.mistake_right), (Some(true), Some(true)));
    let document = score::document::document(&score, "three mistakes");
    let mut text = Vec::new();
    paritty::document::format("markdown").unwrap().write(&document, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for id in ["rope-base", "bos-missing", "ten-values"] {
        assert!(text.contains(id), "{text}");
    }
}
