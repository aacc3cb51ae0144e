//! Model files that are damaged or at odds with themselves: a clear error that names the file, key or
//! tensor, never a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use paritty::engine::cpu::{CpuOptions, F32Engine};
use paritty::engine::{Engine, NoTap};
use paritty::gguf::{Gguf, WeightType, Writer};
use paritty::model::arch;
use paritty::synth::Synth;
use paritty::synth::mix::Mix;
use paritty::synth::shape::Shape;

/// A small sound model; `arch` as in the tiny shapes.
fn sound(folder: &Path, arch: &str) -> PathBuf {
    let tiny = Shape::named(&format!("tiny-{arch}")).unwrap();
    let shape = Shape {
        n_layer: 2,
        n_embd: 64,
        n_head: 4,
        n_head_kv: 4,
        head_dim: 16,
        n_rot: 0,
        n_ff: 96,
        n_ctx: 64,
        ..tiny
    };
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf");
    let path = folder.join(format!("{arch}.gguf"));
    let synth = Synth::new(&shape, Mix::named("F32").unwrap(), &Gguf::open(&demo).unwrap(), 1).unwrap();
    synth.save(&path, |_| {}).unwrap();
    path
}

/// A tensor's name, shape and type, for `damaged` to change; no name leaves it out.
type Entry = (String, Vec<u64>, WeightType);

type Case<'a> = (&'a str, &'a str, &'a dyn Fn(&mut Writer));

/// The model with other keys and tensors; a tensor whose size changes is filled with zeros.
fn damaged(path: &Path, keys: impl Fn(&mut Writer), tensors: impl Fn(&mut Entry)) -> PathBuf {
    let from = Gguf::open(path).unwrap();
    let mut writer = Writer::new();
    writer.copy_meta(&from);
    keys(&mut writer);
    let mut data = Vec::new();
    for info in from.tensors() {
        let mut entry = (info.name.clone(), info.shape.clone(), info.weight_type);
        tensors(&mut entry);
        if !entry.0.is_empty() {
            writer.tensor(&entry.0, &entry.1, entry.2).unwrap();
            data.push(from.data(info).to_vec());
        }
    }
    let out = path.with_extension("bad.gguf");
    let mut data = data.into_iter();
    let write = |info: &paritty::gguf::TensorInfo, out: &mut dyn std::io::Write| {
        let mut bytes = data.next().unwrap();
        bytes.resize(info.bytes as usize, 0);
        out.write_all(&bytes)
    };
    writer.save(&out, write).unwrap();
    out
}

/// Opens the model and computes a token; how far it gets is up to the file.
fn run(path: &Path) -> Result<Vec<f32>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let gguf = Arc::new(Gguf::open(path).map_err(|e| text(&e))?);
    let graph = arch::graph(&gguf).map_err(|e| text(&e))?;
    let options = CpuOptions { threads: 1, kv_f16: false };
    let mut engine = F32Engine::new(&gguf, graph, options).map_err(|e| text(&e))?;
    engine.step(1, &mut NoTap).map(<[f32]>::to_vec).map_err(|e| text(&e))
}

fn trace(path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paritty"));
    command.arg("trace").arg(path).args(["--engine", "cpu", "--tokens", "1", "-n", "0"]);
    command.arg("-o").arg(path.with_extension("jsonl")).output().unwrap()
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let without = |arch: &str, tensor: &str| {
        let path = sound(folder.path(), arch);
        run(&path).unwrap();
        run(&damaged(&path, |_| (), |t| t.0 = if t.0 == tensor { String::new() } else { t.0.clone() }))
    };
    for (arch, tensor) in [
        ("llama", "token_embd.weight"),
        ("llama", "blk.1.attn_v.weight"),
        ("llama", "output_norm.weight"),
        ("qwen2", "blk.1.attn_k.bias"),
        ("qwen3", "blk.0.attn_q_norm.weight"),
        ("phi3", "blk.0.ffn_up.weight"),
        ("gpt2", "blk.1.attn_qkv.bias"),
        ("gpt2", "blk.0.attn_output.bias"),
        ("gpt2", "blk.0.ffn_up.bias"),
        ("gpt2", "blk.0.ffn_down.bias"),
        ("gpt2", "blk.1.ffn_norm.bias"),
        ("gpt2", "position_embd.weight"),
        ("gemma2", "blk.0.post_ffw_norm.weight"),
        ("gemma3", "blk.1.attn_k_norm.weight"),
    ] {
        let error = without(arch, tensor).expect_err(tensor);
        assert!(error.contains(tensor) && error.contains("missing"), "{arch}: {error}");
    }
    let path = sound(folder.path(), "llama");
    let shaped = |tensor: &str, shape: &[u64]| {
        let path = damaged(&path, |_| (), |t| t.1 = if t.0 == tensor { shape.to_vec() } else { t.1.clone() });
        run(&path).expect_err(tensor)
    };
    for (tensor, shape) in [
        ("blk.0.attn_q.weight", [64, 72]),
        ("blk.1.ffn_down.weight", [64, 96]),
        ("output.weight", [64, 2047]),
        ("blk.0.attn_norm.weight", [32, 1]),
        // Another number of tokens than the vocabulary.
        ("token_embd.weight", [64, 2047]),
    ] {
        let error = shaped(tensor, &shape);
        assert!(error.contains(tensor) && error.contains(&shape[1].to_string()), "{error}");
    }
    let error = run(&damaged(
        &path,
        |_| (),
        |t| {
            if t.0 == "blk.1.ffn_up.weight" {
                (t.1, t.2) = (vec![256, 96], WeightType::Iq2Xxs);
            }
        },
    ))
    .unwrap_err();
    assert!(error.contains("blk.1.ffn_up.weight"), "{error}");
}

#[test]
fn missing_and_senseless_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = sound(folder.path(), "llama");
    for key in [
        "general.architecture",
        "llama.block_count",
        "llama.embedding_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
        "llama.context_length",
        "llama.feed_forward_length",
    ] {
        let bad = damaged(&path, |w| _ = w.remove(key), |_| ());
        let error = run(&bad).expect_err(key);
        assert!(error.contains(key) && error.contains("missing"), "{error}");
    }
    let count = |key: &'static str, value: u32| move |w: &mut Writer| _ = w.set(key, value);
    // What the error names, a word of it, what is done to the file.
    let cases: &[Case<'_>] = &[
        ("general.architecture", "no-such", &|w| _ = w.set("general.architecture", "no-such")),
        ("llama.block_count", "0", &count("llama.block_count", 0)),
        ("llama.block_count", "4000000000", &count("llama.block_count", 4_000_000_000)),
        ("blk.2.", "missing", &count("llama.block_count", 3)),
        ("llama.attention.head_count", "0", &count("llama.attention.head_count", 0)),
        ("llama.attention.head_count_kv", "3", &count("llama.attention.head_count_kv", 3)),
        ("llama.embedding_length", "text", &|w| _ = w.set("llama.embedding_length", "text")),
        ("llama.rope.dimension_count", "15", &count("llama.rope.dimension_count", 15)),
        ("llama.rope.dimension_count", "600", &count("llama.rope.dimension_count", 600)),
        ("llama.rope.scaling.type", "yarn", &|w| _ = w.set("llama.rope.scaling.type", "yarn")),
        ("llama.expert_count", "8", &count("llama.expert_count", 8)),
        ("epsilon", "NaN", &|w| _ = w.set("llama.attention.layer_norm_rms_epsilon", f32::NAN)),
        ("token_embd.weight", "3", &|w| _ = w.set("tokenizer.ggml.tokens", vec!["a", "b", "c"])),
    ];
    for (name, word, edit) in cases {
        let error = run(&damaged(&path, edit, |_| ())).expect_err(name);
        // An architecture that is not known is named by its name.
        let named = error.contains(name) || *name == "general.architecture";
        assert!(named && error.contains(word), "{name}: {error}");
    }
}

#[test]
fn the_command_reports_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = sound(folder.path(), "qwen2");
    assert!(trace(&path).status.success());
    let whole = fs::read(&path).unwrap();
    for len in [0, 3, 23, 100, 5000, whole.len() / 2, whole.len() - 100] {
        let cut = path.with_extension("cut.gguf");
        fs::write(&cut, &whole[..len]).unwrap();
        let output = trace(&cut);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{len} bytes: {message}");
        assert!(message.contains("cut.gguf") && message.lines().count() <= 2, "{message}");
        assert!(!cut.with_extension("jsonl").exists(), "{len} bytes");
    }
    let bad = damaged(
        &path,
        |_| (),
        |t| {
            if t.0 == "blk.0.attn_q.bias" {
                t.0.clear();
            }
        },
    );
    let output = trace(&bad);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("blk.0.attn_q.bias"));
}

#[test]
fn no_changed_byte_makes_it_panic() {
    let folder = tempfile::tempdir().unwrap();
    for arch in ["llama", "gemma3", "phi3"] {
        let path = sound(folder.path(), arch);
        let whole = fs::read(&path).unwrap();
        // Keys of the architecture and the table of tensors come after the vocabulary, before the data.
        let gguf = Gguf::open(&path).unwrap();
        let table = whole.len() as u64 - gguf.tensors().iter().map(|t| t.bytes).sum::<u64>();
        let first = whole.windows(12).position(|w| w == b"general.arch").unwrap();
        let (mut refused, mut state) = (0, 7_u64);
        for _ in 0..300 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = first + (state >> 33) as usize % (table as usize - first);
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (state >> 20 & 7);
            let bad = path.with_extension("bit.gguf");
            fs::write(&bad, bytes).unwrap();
            if let Err(error) = run(&bad) {
                assert!(error.contains("bit.gguf"), "{error}");
                refused += 1;
            }
        }
        assert!(refused > 100, "{arch}: only {refused} were noticed");
    }
}
