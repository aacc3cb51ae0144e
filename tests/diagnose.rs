//! `paritty diagnose`: engines as sources, faults apart from what follows from them, taps that disturb,
//! other weights, and traces with few checkpoints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use paritty::gguf::{Gguf, WeightType};
use paritty::mutate::convert::convert;
use serde_json::Value;
use tempfile::TempDir;

const LLAMA: &str = "shakespeare-llama3-q4_k_m";
const QWEN: &str = "shakespeare-qwen2-f16";

fn asset(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(kind).join(name)
}

fn model(name: &str) -> PathBuf {
    asset("models", &format!("{name}.gguf"))
}

fn trace(name: &str) -> PathBuf {
    asset("traces", &format!("{name}.jsonl"))
}

/// Runs paritty; its exit code and what it printed.
fn paritty(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_paritty")).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap();
    (code, if code == 2 { errors } else { String::from_utf8(output.stdout).unwrap() })
}

fn diagnose(model: &Path, arguments: &[&str]) -> (i32, Value) {
    let mut all = vec!["diagnose", model.to_str().unwrap(), "--json", "--threads", "1"];
    all.extend(arguments);
    let (code, printed) = paritty(&all);
    assert_ne!(code, 2, "{printed}");
    (code, serde_json::from_str(&printed).unwrap())
}

/// Everything that a report says, for what is looked up in sentences.
fn said(report: &Value) -> String {
    serde_json::to_string(report).unwrap()
}

/// The rows of a table.
fn table<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report["tables"][name].as_array().map_or(&[], |rows| rows)
}

/// Checkpoint and mistake of each fault that is named.
fn faults(report: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or("unknown").to_owned();
    table(report, "faults").iter().map(|row| (text(&row["checkpoint"]), text(&row["mistake"]))).collect()
}

fn recorded(model: &Path, folder: &TempDir, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    let engine: &[&str] = if arguments.contains(&"--engine") { &[] } else { &["--engine", "cpu"] };
    let fixed = ["trace", model.to_str().unwrap(), "--threads", "1"];
    let output = ["-o", path.to_str().unwrap(), "--prompt", "To be, or not to be", "-n", "4"];
    let all: Vec<&str> = fixed.iter().chain(engine).chain(&output).chain(arguments).copied().collect();
    let (code, printed) = paritty(&all);
    assert_eq!(code, 0, "{printed}");
    path
}

#[test]
fn engines_are_recorded_and_a_clean_one_is_called_clean() {
    let arguments = ["--reference", "oracle", "--candidate", "cpu", "--prompt", "What say you", "-n", "2"];
    let (code, report) = diagnose(&model(QWEN), &arguments);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(faults(&report), []);
    for role in ["reference", "candidate"] {
        assert!(said(&report).contains(&format!("the {role} computes the same logits when nobody looks")));
    }
    let (code, error) = paritty(&["diagnose", model(QWEN).to_str().unwrap(), "--reference", "cpu"]);
    assert!(code == 2 && error.contains("--prompt"), "{error}");
}

#[test]
fn two_faults_are_told_from_what_follows_by_audit_and_by_graft() {
    let reference = trace(LLAMA);
    let (code, report) = diagnose(
        &model(LLAMA),
        &[
            "--reference",
            reference.to_str().unwrap(),
            "--candidate",
            "cpu",
            "--fault",
            "attention-scale@0",
            "--fault",
            "rope-pairing@2",
        ],
    );
    assert_eq!(code, 1);
    let expected = [
        ("kq_soft_max-0", "attention-scale"),
        ("Qcur_rope-2", "rope-pairing"),
        ("Kcur_rope-2", "rope-pairing"),
    ];
    let found = faults(&report);
    assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())), "{report:#}");
    // The same places by graft, each after those before it were made right, and nothing else.
    let partings: Vec<&str> =
        table(&report, "partings").iter().map(|row| row["checkpoint"].as_str().unwrap()).collect();
    assert_eq!(partings, expected.map(|e| e.0), "{report:#}");
    assert!(said(&report).contains("the rest agrees"), "{report:#}");
}

#[test]
fn a_fault_below_the_noise_is_named_by_the_audit_alone() {
    let reference = trace(LLAMA);
    let (code, report) = diagnose(
        &model(LLAMA),
        &["--reference", reference.to_str().unwrap(), "--candidate", "cpu", "--fault", "kq-f16@1"],
    );
    assert_eq!(code, 1);
    assert_eq!(faults(&report), [("kq-1".to_owned(), "kq-f16".to_owned())], "{report:#}");
}

#[test]
fn a_recorder_that_lies_is_caught_by_a_run_without_it() {
    let (code, report) = diagnose(
        &model(QWEN),
        &[
            "--reference",
            "cpu",
            "--candidate",
            "cpu",
            "--fault",
            "logits-of-another",
            "--tokens",
            "1,5,9,300,7",
        ],
    );
    assert_eq!(code, 1);
    let said = said(&report);
    assert!(said.contains("the candidate's instrument changes what is computed or recorded"), "{said}");
    assert!(said.contains("the reference computes the same logits when nobody looks"), "{said}");
}

#[test]
fn how_a_run_was_recorded_is_said_and_is_no_fault() {
    let folder = TempDir::new().unwrap();
    for (fault, code, says) in [
        ("padded-logits", 0, "are padding, all 0e0, and no tokens"),
        // Of what is left, little can be judged.
        ("ten-values", 3, "hold a part of their values only (10 of"),
    ] {
        let path = recorded(&model(QWEN), &folder, "run.jsonl", &["--fault", fault]);
        let (got, report) = diagnose(&model(QWEN), &["--reference", path.to_str().unwrap()]);
        assert_eq!((got, faults(&report)), (code, Vec::new()), "{fault}: {report:#}");
        assert!(said(&report).contains(says), "{fault}: {report:#}");
    }
}

#[test]
fn a_run_with_rounded_weights_is_called_that() {
    let folder = TempDir::new().unwrap();
    let rounded = folder.path().join("q8_0.gguf");
    convert(&Gguf::open(&model(QWEN)).unwrap(), WeightType::Q8_0, &rounded).unwrap();
    for arguments in [&[][..], &["--checkpoints", "layers"]] {
        let path = recorded(&rounded, &folder, "run.jsonl", arguments);
        // Nothing in the trace says so.
        let text =
            std::fs::read_to_string(&path).unwrap().replace("\"weights\":\"Q8_0\"", "\"weights\":null");
        std::fs::write(&path, text).unwrap();
        let (code, report) = diagnose(&model(QWEN), &["--reference", path.to_str().unwrap()]);
        assert_eq!((code, faults(&report)), (1, Vec::new()), "{report:#}");
        let said = said(&report);
        assert!(said.contains("the weights differ: a true difference"), "{said}");
        assert!(said.contains("the file's (F16) rounded to Q8_0"), "{said}");
    }
    // The comparison sees it in the embeddings, and not in a run of the same weights.
    let clean = recorded(&model(QWEN), &folder, "clean.jsonl", &[]);
    let oracle = recorded(&model(QWEN), &folder, "oracle.jsonl", &["--engine", "oracle"]);
    let rounded_run = recorded(&rounded, &folder, "rounded.jsonl", &[]);
    let text =
        std::fs::read_to_string(&rounded_run).unwrap().replace("\"weights\":\"Q8_0\"", "\"weights\":null");
    std::fs::write(&rounded_run, text).unwrap();
    let compared =
        |candidate: &Path| paritty(&["compare", clean.to_str().unwrap(), candidate.to_str().unwrap()]);
    let (_, printed) = compared(&rounded_run);
    assert!(printed.starts_with("the weights differ: 8 of 8 embeddings"), "{printed}");
    assert!(!compared(&oracle).1.contains("weights differ"));
    // A fault beside the rounding is still one.
    let path = recorded(&rounded, &folder, "run.jsonl", &["--fault", "norm-epsilon@1"]);
    let (_, report) = diagnose(&model(QWEN), &["--reference", path.to_str().unwrap()]);
    let mistakes: Vec<String> = faults(&report).into_iter().map(|f| f.1).collect();
    assert_eq!(mistakes, ["norm-epsilon", "norm-epsilon"], "{report:#}");
    // And rounding is none where a product is wrong by itself.
    let path = recorded(&model(QWEN), &folder, "run.jsonl", &["--fault", "transposed@1"]);
    let (_, report) = diagnose(&model(QWEN), &["--reference", path.to_str().unwrap()]);
    assert_eq!(faults(&report), [("attn_out-1".to_owned(), "transposed".to_owned())], "{report:#}");
}

#[test]
fn faults_behind_what_was_not_recorded_are_named_in_their_layer() {
    let folder = TempDir::new().unwrap();
    let every_other = "^(embd|Qcur|Kcur|Vcur|kq_soft_max|attn_out|ffn_norm|ffn_up|ffn_out|result_norm|result_output)(-.*)?$";
    for (checkpoints, fault, at) in [
        ("layers", "rope-pairing@1", "l_out-1"),
        ("layers", "ffn-activation@2", "l_out-2"),
        ("layers", "mask-shifted@0", "l_out-0"),
        (every_other, "rope-base@1", "kq_soft_max-1"),
        (every_other, "ffn-activation@0", "ffn_out-0"),
        (every_other, "residual-missing@1", "Qcur-2"),
    ] {
        let path =
            recorded(&model(LLAMA), &folder, "run.jsonl", &["--checkpoints", checkpoints, "--fault", fault]);
        let (code, report) = diagnose(&model(LLAMA), &["--reference", path.to_str().unwrap()]);
        assert_eq!(code, 1, "{fault}");
        // What is bridged over the same operation further on may be named, too; the first is what counts.
        let id = fault.split('@').next().unwrap();
        assert_eq!(faults(&report)[0], (at.to_owned(), id.to_owned()), "{fault}: {report:#}");
    }
}

#[test]
fn faults_in_two_layers_are_both_named_from_layers_alone() {
    let folder = TempDir::new().unwrap();
    let arguments = ["--checkpoints", "layers", "--fault", "rope-pairing@0", "--fault", "ffn-activation@2"];
    let path = recorded(&model(LLAMA), &folder, "run.jsonl", &arguments);
    let (code, report) = diagnose(&model(LLAMA), &["--reference", path.to_str().unwrap()]);
    let expected = [("l_out-0", "rope-pairing"), ("l_out-2", "ffn-activation")];
    assert_eq!(
        (code, faults(&report)),
        (1, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()),
        "{report:#}"
    );
}

#[test]
fn repeated_rows_are_blamed_on_whoever_made_them() {
    // The comparison alone: no model is asked.
    let folder = TempDir::new().unwrap();
    let clean = recorded(&model(QWEN), &folder, "clean.jsonl", &[]);
    for (fault, kind, class) in [
        ("stale-input@1", "diverged", None),
        ("mask-shifted@1", "diverged", None),
        ("stale-dump", "instrument", Some("stale")),
        ("logits-of-another", "instrument", Some("stale")),
    ] {
        let path = recorded(&model(QWEN), &folder, "run.jsonl", &["--fault", fault]);
        let (code, printed) =
            paritty(&["compare", clean.to_str().unwrap(), path.to_str().unwrap(), "--json"]);
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            (code, report["verdict"]["kind"].as_str()),
            (1, Some(kind)),
            "{fault}: {}",
            report["verdict"]
        );
        if let Some(class) = class {
            assert!(report["verdict"].to_string().contains(class), "{fault}: {}", report["verdict"]);
        }
    }
}

#[test]
fn the_report_is_written_in_every_format() {
    let reference = trace(LLAMA);
    for format in ["text", "markdown", "html", "csv"] {
        let (code, printed) = paritty(&[
            "diagnose",
            model(LLAMA).to_str().unwrap(),
            "--reference",
            reference.to_str().unwrap(),
            "--candidate",
            "cpu",
            "--fault",
            "rope-base@1",
            "--format",
            format,
        ]);
        assert_eq!(code, 1);
        assert!(printed.contains("Qcur_rope-1") && printed.contains("rope-base"), "{format}: {printed}");
    }
}

/// A program as `cmd:` reads it: a shell script.
fn program(script: &str) -> String {
    format!("cmd:sh -c '{script}'")
}

/// Our own engine, served.
fn served(arguments: &str) -> String {
    format!("\"{}\" serve --threads 1 {arguments}", env!("CARGO_BIN_EXE_paritty"))
}

#[test]
fn a_program_is_diagnosed_like_any_engine_and_is_not_given_values() {
    let candidate = program(&served("--fault rope-pairing@1"));
    let (code, report) =
        diagnose(&model(LLAMA), &["--reference", "cpu", "--candidate", &candidate, "--tokens", "1,5,9,300"]);
    let expected = [("Qcur_rope-1", "rope-pairing"), ("Kcur_rope-1", "rope-pairing")];
    assert_eq!((code, faults(&report)), (1, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()));
    assert!(said(&report).contains("a program (cmd:) cannot be given values"), "{report:#}");
    // And as the one that is trusted, it is given to others.
    let (code, report) =
        diagnose(&model(LLAMA), &["--reference", &candidate, "--candidate", "cpu", "--tokens", "1,5,9,300"]);
    assert_eq!(code, 1);
    assert!(said(&report).contains("the reference (paritty) is at fault"), "{report:#}");
    assert!(said(&report).contains("by graft"), "{report:#}");
}

#[test]
fn what_a_program_computed_before_it_failed_is_diagnosed() {
    // Three requests are let through: to load, and two positions.
    let requests = "for n in 1 2 3; do read -r line; echo \"$line\"; done";
    for (fault, code, says) in [
        ("", 3, "no operation that was computed is faulty, but a run ended early"),
        ("--fault rope-base@1", 1, "the candidate (paritty) is at fault"),
    ] {
        let candidate = program(&format!("({requests}) | {}", served(fault)));
        let (got, report) = diagnose(
            &model(LLAMA),
            &["--reference", "cpu", "--candidate", &candidate, "--tokens", "1,5,9,300,7,8"],
        );
        let said = said(&report);
        assert_eq!(got, code, "{report:#}");
        assert!(said.contains(says) && said.contains("it did not compute everything"), "{report:#}");
    }
    // Nothing at all is a failure.
    let (code, error) = paritty(&[
        "diagnose",
        model(LLAMA).to_str().unwrap(),
        "--reference",
        &program("exit 7"),
        "--tokens",
        "1,5",
    ]);
    assert!(code == 2 && error.contains("exit status: 7"), "{error}");
}

#[test]
fn an_engine_that_differs_from_itself_is_told_from_one_that_is_disturbed() {
    let folder = TempDir::new().unwrap();
    let mark = folder.path().join("mark");
    let mark = mark.to_str().unwrap();
    // Made anew, it makes another mistake each time.
    let candidate = program(&format!(
        "test -e {mark}.2 && exec {}; test -e {mark} && {{ touch {mark}.2; exec {}; }}; touch {mark}; exec {}",
        served("--fault rope-base@1"),
        served("--fault rope-base@0"),
        served(""),
    ));
    let arguments = ["--reference", "cpu", "--candidate", &candidate, "--tokens", "1,5,9"];
    let (code, report) = diagnose(&model(LLAMA), &arguments);
    assert_eq!(code, 1);
    assert!(said(&report).contains("the candidate differs from itself"), "{report:#}");
}
