//! The C++ tracer in `assets/tracer` against ours: the same lines, the same bytes.
//!
//! Building it takes a llama.cpp, so its path is given in PARITTY_CPP_TRACER; `.ci/run` builds it from the
//! sources that the feature's crate carries.

#![cfg(feature = "llama-cpp")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "says why nothing was compared")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The tracer's path; `None` (said aloud) where it was not built.
fn cpp_tracer() -> Option<PathBuf> {
    let path = std::env::var_os("PARITTY_CPP_TRACER").map(PathBuf::from);
    if path.is_none() {
        eprintln!("PARITTY_CPP_TRACER is not set: the C++ tracer is not compared");
    }
    path
}

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models").join(name)
}

/// Runs a tracer into `folder/run.jsonl` and returns the trace's lines and its sidecar.
fn record(mut tracer: Command, folder: &Path, options: &[&str]) -> (Vec<String>, Option<Vec<u8>>) {
    for name in ["ORCH_LOG_FILE", "ORCH_LOG_TEAM", "ORCH_LOG_VALUES"] {
        tracer.env_remove(name);
    }
    let output = tracer
        .args(["--threads", "1", "-o", "run.jsonl"])
        .args(options)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    let text = fs::read_to_string(folder.join("run.jsonl")).unwrap();
    (text.lines().map(str::to_owned).collect(), fs::read(folder.join("run.bin")).ok())
}

/// Both tracers' runs with the same options must not differ but in how llama.cpp's build is named.
fn same(model: &Path, options: &[&str]) {
    let Some(tracer) = cpp_tracer() else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut ours = Command::new(env!("CARGO_BIN_EXE_paritty"));
    ours.arg("trace").arg(model).args(["--engine", "llama.cpp"]);
    let mut theirs = Command::new(tracer);
    theirs.arg(model);
    let (our_lines, our_bytes) = record(ours, folders[0].path(), options);
    let (their_lines, their_bytes) = record(theirs, folders[1].path(), options);

    let header = |line: &str| -> serde_json::Value {
        let mut header: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(header["settings"]["build"].take().is_string());
        header
    };
    assert_eq!(header(&our_lines[0]), header(&their_lines[0]));
    assert!(our_lines.len() > 10);
    for (index, (ours, theirs)) in our_lines.iter().zip(&their_lines).enumerate().skip(1) {
        assert_eq!(ours, theirs, "line {}", index + 1);
    }
    assert_eq!(our_lines.len(), their_lines.len());
    assert!(our_bytes == their_bytes, "the sidecars differ");
}

#[test]
fn token_by_token() {
    same(
        &model("shakespeare-f16.gguf"),
        &["--prompt", "ROMEO:\n\"What\" \\ light\t\u{1}é漢", "-n", "5", "--ignore-eos"],
    );
}

#[test]
fn sampled_from_a_quantised_model() {
    let options = [
        "--prompt",
        "ROMEO:\n",
        "-n",
        "10",
        "--ignore-eos",
        "--temperature",
        "0.8",
        "--seed",
        "3",
        "--kv",
        "f32",
    ];
    same(&model("shakespeare-q4_k_m.gguf"), &options);
}

#[test]
fn in_batches() {
    let options =
        ["--tokens", "1,443,1200,77,1200", "-n", "2", "--ignore-eos", "--batch-prefill", "--ubatch", "2"];
    same(&model("shakespeare-q4_k_m.gguf"), &options);
}

#[test]
fn with_flash_attention_and_without_repacking() {
    let options = ["--prompt", "ROMEO:\n", "-n", "2", "--ignore-eos", "--flash-attn", "on", "--no-repack"];
    same(&model("shakespeare-q4_k_m.gguf"), &options);
}

#[test]
fn capture_sets() {
    for set in ["layers", "logits", "^(Kcur|kq)_?[a-z]*-[24]$"] {
        same(
            &model("shakespeare-f16.gguf"),
            &["--tokens", "1,443", "-n", "2", "--ignore-eos", "--checkpoints", set],
        );
    }
}
