//! The real llama.cpp over the demo model (feature `llama-cpp`): what is recorded, and that recording
//! changes nothing.
//!
//! One thread everywhere: llama.cpp's threads spin while they wait, which is very slow beside other tests.

#![cfg(feature = "llama-cpp")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use paritty::engine::run::{KvType, RecordSink};
use paritty::gguf::Gguf;
use paritty::llama_cpp::sample::Sampling;
use paritty::llama_cpp::{ContextSettings, LlamaRun, LoadSettings, Model, RunSettings, quantize};
use paritty::model::{CaptureSet, Checkpoint, Op, Site, arch};
use paritty::trace::{Notes, Store, Tensor, TraceError};

/// Arbitrary ids of the vocabulary, with a repeat.
const TOKENS: [u32; 7] = [1, 443, 1200, 77, 1200, 2000, 13];

fn demo_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf")
}

fn quantised_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-q4_k_m.gguf")
}

/// What one run showed, by position and checkpoint.
#[derive(Default)]
struct Collected(BTreeMap<(u32, Checkpoint), (Vec<u32>, Vec<u32>)>);

impl RecordSink for Collected {
    fn record(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        _: Option<&str>,
        _: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), TraceError> {
        assert_eq!(shape.iter().product::<u32>() as usize, values.len(), "{checkpoint}");
        let cell = (shape.to_vec(), bits(values));
        assert!(self.0.insert((position, checkpoint), cell).is_none(), "{checkpoint} twice at {position}");
        Ok(())
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

struct Setup {
    flash_attn: bool,
    kv: KvType,
    columns: usize,
    capture: &'static str,
}

const PLAIN: Setup = Setup { flash_attn: false, kv: KvType::F16, columns: 1, capture: "all" };

/// Runs TOKENS through the demo model: what was recorded, and the logits of every position as
/// `llama_get_logits_ith` gives them.
fn run(setup: &Setup) -> (Collected, Vec<Vec<u32>>) {
    let load = LoadSettings::default();
    let model = Arc::new(Model::load(&quantised_model(), load).unwrap());
    let context = ContextSettings {
        positions: TOKENS.len(),
        columns: setup.columns,
        threads: 1,
        flash_attn: setup.flash_attn,
        kv: setup.kv,
        tapped: true,
    };
    let capture = setup.capture.parse().unwrap();
    let settings = RunSettings { load, context, sampling: Sampling::default(), capture };
    let mut run = LlamaRun::new(model, settings, Arc::new(AtomicBool::new(false))).unwrap();
    let (mut collected, mut logits) = (Collected::default(), vec![]);
    for tokens in TOKENS.chunks(setup.columns) {
        run.decode(tokens, &mut collected).unwrap();
        for index in 0..tokens.len() {
            logits.push(bits(run.context().logits(index).unwrap()));
        }
    }
    (collected, logits)
}

#[test]
fn every_checkpoint_of_the_graph_is_recorded_once_at_every_position() {
    let graph = arch::graph(&Gguf::open(&quantised_model()).unwrap()).unwrap();
    let (collected, _) = run(&PLAIN);
    let mut cells = collected.0;
    for position in 0..TOKENS.len() as u32 {
        for node in &graph.nodes {
            let Some(checkpoint) = node.checkpoint else { continue };
            let found = cells.remove(&(position, checkpoint));
            let (shape, _) = found.unwrap_or_else(|| panic!("{checkpoint} is missing at {position}"));
            let ours: Vec<_> = match node.op {
                Op::Scores(_) | Op::SoftMax(_) => vec![position + 1, node.width as u32],
                _ => node.shape.iter().map(|&n| n as u32).collect(),
            };
            // llama.cpp cuts projections into heads only when it rotates them.
            let flat = [ours.iter().product::<u32>()];
            let rotated = matches!(node.op, Op::Rope(_));
            assert!(shape == ours || (shape == flat && !rotated), "{checkpoint}: {shape:?}, not {ours:?}");
        }
    }
    assert!(cells.is_empty(), "not in the graph: {:?}", cells.keys().collect::<Vec<_>>());
}

#[test]
fn recorded_logits_are_those_of_llama_cpp_bit_for_bit() {
    for columns in [1, 3, 7] {
        let (collected, logits) = run(&Setup { columns, ..PLAIN });
        for (position, expected) in logits.iter().enumerate() {
            let (_, recorded) = &collected.0[&(position as u32, Checkpoint::LOGITS)];
            assert!(recorded == expected, "position {position} in batches of {columns}");
        }
    }
}

#[test]
fn recording_changes_nothing() {
    for columns in [1, 7] {
        let (_, untapped) = run(&Setup { columns, capture: "off", ..PLAIN });
        for capture in ["all", "layers", "logits", "^(Kcur|kq)"] {
            let (_, tapped) = run(&Setup { columns, capture, ..PLAIN });
            assert!(tapped == untapped, "{capture} in batches of {columns}");
        }
    }
}

#[test]
fn a_capture_set_is_what_is_recorded() {
    let (off, _) = run(&Setup { capture: "off", ..PLAIN });
    assert!(off.0.is_empty());
    let (all, _) = run(&PLAIN);
    for capture in ["layers", "logits", "-3$"] {
        let set: CaptureSet = capture.parse().unwrap();
        let (some, _) = run(&Setup { capture, ..PLAIN });
        let expected: BTreeMap<_, _> = all.0.iter().filter(|((_, c), _)| set.contains(*c)).collect();
        assert!(!expected.is_empty());
        // The very bits: asking for fewer nodes changes none of them.
        assert!(some.0.iter().eq(expected), "{capture}");
    }
}

#[test]
fn a_batch_records_what_single_tokens_do() {
    let (single, _) = run(&Setup { kv: KvType::F32, ..PLAIN });
    let (batch, _) = run(&Setup { kv: KvType::F32, columns: 4, ..PLAIN });
    assert!(single.0.keys().eq(batch.0.keys()));
    for (key, (shape, values)) in &single.0 {
        let (batch_shape, batch_values) = &batch.0[key];
        assert_eq!(shape, batch_shape, "{key:?}");
        // Rounding of activations falls differently in a batch: NUMERICS measures 4e-2 at the logits.
        // Rows of another token or head would be off by 1 and more.
        let error = relative(batch_values, values);
        assert!(error < 0.2, "{key:?}: {error}");
    }
}

#[test]
fn flash_attention_has_no_scores_and_else_everything() {
    let (plain, _) = run(&PLAIN);
    let (flash, _) = run(&Setup { flash_attn: true, ..PLAIN });
    let expected = plain.0.keys().filter(|(_, c)| !matches!(c.site(), Site::Kq | Site::KqSoftMax));
    assert!(flash.0.keys().eq(expected));
}

#[test]
fn the_cache_type_is_heeded() {
    let (half, _) = run(&PLAIN);
    let (single, _) = run(&Setup { kv: KvType::F32, ..PLAIN });
    let at = |name: &str| (6, name.parse::<Checkpoint>().unwrap());
    // Keys are stored after RoPE: scores are the first to see the cache's type.
    assert!(half.0[&at("Kcur_rope-0")] == single.0[&at("Kcur_rope-0")]);
    assert!(half.0[&at("kq-0")] != single.0[&at("kq-0")]);
}

/// ‖a − b‖ / ‖b‖ of values given by their bits.
fn relative(a: &[u32], b: &[u32]) -> f64 {
    let pairs =
        || a.iter().zip(b).map(|(&a, &b)| (f64::from(f32::from_bits(a)), f64::from(f32::from_bits(b))));
    let norm: f64 = pairs().map(|(_, b)| b * b).sum();
    let error: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
    (error / norm.max(1e-30)).sqrt()
}

// From here on the program itself, as a user calls it.

fn paritty() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paritty"));
    command.stdin(Stdio::null());
    for name in ["ORCH_LOG_FILE", "ORCH_LOG_TEAM", "ORCH_LOG_VALUES"] {
        command.env_remove(name);
    }
    command
}

fn trace(model: &Path, out: &Path, options: &[&str]) -> Output {
    let mut command = paritty();
    command.arg("trace").arg(model).args(["--engine", "llama.cpp", "--threads", "1", "-o"]).arg(out);
    command.args(options).output().unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_trace_loads_with_nothing_odd_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run.jsonl");
    succeeds(&trace(
        &demo_model(),
        &out,
        &["--prompt", "ROMEO:\n", "-n", "3", "--ignore-eos", "--kv", "f32"],
    ));
    let store = Store::load(&out).unwrap();
    assert_eq!(store.notes(), &Notes::default());
    assert!(store.has_ended());

    let header = store.header().unwrap();
    assert_eq!((header.team.as_str(), header.backend.as_str()), ("llama.cpp", "CPU"));
    assert_eq!(header.prompt.as_deref(), Some("ROMEO:\n"));
    assert_eq!(header.model.arch, "llama");
    assert_eq!(header.model.weights.as_deref(), Some("F16"));
    assert_eq!(header.settings.kv.as_deref(), Some("f32"));
    assert_eq!(header.settings.flash_attn, Some(false));
    assert_eq!(header.settings.threads, Some(1));
    assert_eq!(header.settings.other["n_ubatch"], 1);
    assert!(header.settings.other["weight_types"]["F16"].as_u64() > Some(0));

    let n_prompt = header.n_prompt.unwrap();
    assert_eq!(header.n_total, Some(n_prompt + 3));
    assert!(store.positions().eq(0..n_prompt + 3));
    let mut tensor = Tensor::default();
    for position in store.positions() {
        assert!(store.is_complete(position));
        let token = store.token(position).unwrap();
        assert_eq!((token.from_prompt, token.columns), (position < n_prompt, Some(1)));
        for checkpoint in store.checkpoints(position) {
            assert!(store.read(position, checkpoint, &mut tensor).unwrap());
            assert!(tensor.exact && tensor.values.iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn greedy_tokens_are_those_with_the_largest_logits() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run.jsonl");
    succeeds(&trace(
        &demo_model(),
        &out,
        &["--tokens", "1,443", "-n", "5", "--ignore-eos", "--checkpoints", "logits"],
    ));
    let store = Store::load(&out).unwrap();
    let mut tensor = Tensor::default();
    for position in 1..6 {
        assert!(store.read(position, Checkpoint::LOGITS, &mut tensor).unwrap());
        let best = paritty::engine::record::argmax(&tensor.values);
        assert_eq!(store.token(position + 1).unwrap().id, best);
    }
}

#[test]
fn a_seed_gives_the_same_tokens_again() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = |seed: &str| -> Vec<u32> {
        let out = folder.path().join("run.jsonl");
        let options =
            ["--prompt", "ROMEO:\n", "-n", "12", "--ignore-eos", "--temperature", "1.2", "--seed", seed];
        succeeds(&trace(&demo_model(), &out, &[&options[..], &["--checkpoints", "off"]].concat()));
        let store = Store::load(&out).unwrap();
        store.positions().map(|p| store.token(p).unwrap().id).collect()
    };
    assert_eq!(tokens("7"), tokens("7"));
    assert_ne!(tokens("7"), tokens("8"));
}

#[test]
fn a_batch_is_recorded_with_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run.jsonl");
    let options =
        ["--tokens", "1,443,1200,77,1200", "-n", "1", "--ignore-eos", "--batch-prefill", "--ubatch", "3"];
    succeeds(&trace(&demo_model(), &out, &options));
    let store = Store::load(&out).unwrap();
    assert_eq!(store.notes(), &Notes::default());
    let columns: Vec<_> = store.positions().map(|p| store.token(p).unwrap().columns.unwrap()).collect();
    assert_eq!(columns, [3, 3, 3, 2, 2, 1]);
    let counts: Vec<_> = store.positions().map(|p| store.checkpoints(p).count()).collect();
    assert!(counts[0] > 50 && counts.iter().all(|&n| n == counts[0]), "{counts:?}");
}

#[test]
fn the_studys_environment_is_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("study.jsonl");
    let mut command = paritty();
    command.env("ORCH_LOG_FILE", &out).env("ORCH_LOG_TEAM", "ours").env("ORCH_LOG_VALUES", "10");
    command.arg("trace").arg(demo_model());
    let options = ["--engine", "llama.cpp", "--threads", "1", "--tokens", "1,443", "--checkpoints", "logits"];
    succeeds(&command.args(options).output().unwrap());
    let text = fs::read_to_string(&out).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .filter(|r: &serde_json::Value| r.get("checkpoint").is_some())
        .collect();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record["team"], "ours");
        assert_eq!(record["values"].as_array().unwrap().len(), 10);
    }
    assert!(!folder.path().join("study.bin").exists());
}

#[test]
fn standard_output_carries_the_trace_and_nothing_else() {
    let output =
        trace(&demo_model(), Path::new("-"), &["--tokens", "1", "--checkpoints", "layers", "--verbose"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 5);
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    // llama.cpp's own words went to standard error, because they were asked for.
    assert!(String::from_utf8_lossy(&output.stderr).contains("llama"));
}

/// Starts a long run and waits until it has written `positions` positions.
fn start(out: &Path, positions: usize) -> std::process::Child {
    let mut command = paritty();
    command.arg("trace").arg(demo_model()).args(["--engine", "llama.cpp", "--threads", "1", "-o"]).arg(out);
    command.args(["--prompt", "ROMEO:\n", "-n", "100000", "--ignore-eos"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // Far longer than it takes: only a run that does not get on at all meets the end.
    for _ in 0..24_000 {
        let complete = fs::read_to_string(out).unwrap_or_default().matches("\"complete\":true").count();
        if complete >= positions {
            return child;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the run does not get on");
}

#[test]
fn a_killed_writer_leaves_a_readable_trace() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run.jsonl");
    let mut child = start(&out, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let store = Store::load(&out).unwrap();
    assert!(!store.has_ended());
    let complete: Vec<_> = store.positions().filter(|&p| store.is_complete(p)).collect();
    assert!(complete.len() >= 3);
    let mut tensor = Tensor::default();
    for &position in &complete {
        for checkpoint in store.checkpoints(position) {
            assert!(store.read(position, checkpoint, &mut tensor).unwrap(), "{checkpoint} at {position}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_run_after_a_whole_line() {
    use std::os::unix::process::ExitStatusExt as _;

    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run.jsonl");
        let mut child = start(&out, 2);
        let status = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
        assert!(status.unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        let text = fs::read_to_string(&out).unwrap();
        assert!(text.ends_with("}\n") && !text.contains("\"end\""));
        let store = Store::load(&out).unwrap();
        assert_eq!(store.notes(), &Notes::default());
        assert!(!store.has_ended());
    }
}

#[test]
fn what_cannot_be_run_is_said_in_llama_cpps_words() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run.jsonl");
    let fails = |model: &Path, options: &[&str], words: &str| {
        let output = trace(model, &out, options);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(words), "{message}");
        assert!(!out.exists(), "a trace was begun");
    };
    let one = ["--tokens", "1"];
    fails(folder.path(), &one, "it is a folder");
    fails(&folder.path().join("none.gguf"), &one, "No such file");
    let text = folder.path().join("text.gguf");
    fs::write(&text, "not a model\n").unwrap();
    fails(&text, &one, "invalid magic");
    let cut = folder.path().join("cut.gguf");
    fs::write(&cut, &fs::read(demo_model()).unwrap()[..3_000_000]).unwrap();
    fails(&cut, &one, "not within the file bounds");
    fails(&demo_model(), &["--tokens", "1,99999"], "token 99999 is not in the vocabulary of 2048");
    fails(&demo_model(), &["--prompt", "", "--no-bos"], "no tokens");
    fails(&demo_model(), &["--tokens", "1", "--kv", "q8_0"], "flash_attn");
    fails(&demo_model(), &["--tokens", "1", "--checkpoints", "("], "regex");
    fails(&demo_model(), &["-n", "3"], "--prompt");
}

#[test]
fn our_weights_are_those_that_llama_cpp_dequantises() {
    let folder = tempfile::tempdir().unwrap();
    for mix in ["BF16", "Q8_0", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K"] {
        let (small, wide) = (folder.path().join("small.gguf"), folder.path().join("wide.gguf"));
        quantize::quantize(&demo_model(), &small, mix, false, 1).unwrap();
        quantize::quantize(&small, &wide, "F32", false, 1).unwrap();
        let (small, wide) = (Gguf::open(&small).unwrap(), Gguf::open(&wide).unwrap());
        let mut quantised = 0;
        for info in small.tensors() {
            let ours = small.to_f32(info).unwrap();
            let theirs = wide.to_f32(wide.tensor(&info.name).unwrap()).unwrap();
            assert!(bits(&ours) == bits(&theirs), "{mix}: {} differs", info.name);
            quantised += usize::from(small.data(info).len() < ours.len() * 4);
        }
        assert!(quantised > 40, "{mix}: only {quantised} tensors are not F32");
    }
}

#[test]
fn quantising_is_a_command_with_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.gguf");
    let quantize = |input: &Path, output: &Path, mix: &str| {
        paritty().arg("quantize").args([input, output]).arg(mix).output().unwrap()
    };
    succeeds(&quantize(&demo_model(), &out, "q8_0"));
    let types = |path: &Path| -> Vec<String> {
        let gguf = Gguf::open(path).unwrap();
        gguf.tensors().iter().map(|t| t.weight_type.format().name.to_owned()).collect()
    };
    assert!(types(&out).contains(&"Q8_0".to_owned()));
    for (output, words) in [
        (quantize(&demo_model(), &out, "Q9"), "use one of"),
        (quantize(&out, &out, "F32"), "same file"),
        (quantize(&folder.path().join("none"), &out, "F32"), "no file"),
        (quantize(&demo_model(), &folder.path().join("a/b.gguf"), "F32"), "folder does not exist"),
    ] {
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(words), "{message}");
    }
}
