//! Small models of random weights, one of each architecture: the real llama.cpp names every checkpoint,
//! and our engine computes the same values (feature `llama-cpp`).

#![cfg(feature = "llama-cpp")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::engine::cpu::CpuOptions;
use paritty::engine::open::{self, Kind};
use paritty::engine::own_run::OwnRun;
use paritty::engine::run::{KvType, RecordSink, Run as _};
use paritty::gguf::write::Writer;
use paritty::gguf::{Gguf, WeightType};
use paritty::llama_cpp::sample::Sampling;
use paritty::llama_cpp::{ContextSettings, LlamaRun, LoadSettings, Model, RunSettings};
use paritty::model::{CaptureSet, Checkpoint, arch};
use paritty::trace::TraceError;

const TOKENS: [u32; 12] = [1, 443, 1200, 77, 1200, 2000, 13, 99, 5, 640, 1777, 443];

const WIDTH: u64 = 64;
const LAYERS: u64 = 3;
const HEADS: u64 = 4;
const HEAD: u64 = 16;
const INNER: u64 = 96;
const POSITIONS: u64 = 512;

/// What sets one architecture's file apart.
struct Kin {
    name: &'static str,
    /// Key and value heads.
    kv_heads: u64,
    /// Query, key and value in one matrix.
    fused: bool,
    /// Gate and up in one matrix, or no gate.
    gate: bool,
    /// Largest relative difference of a cell between llama.cpp and our engine.
    tolerance: f64,
}

/// Sums of a few hundred products in single precision: the worst cell seen is 9e-7.
const ROUNDING: f64 = 1e-5;

/// llama.cpp takes GELU from a table of f16 values: the worst cell seen is 6e-4.
const GELU_TABLE: f64 = 3e-3;

const KINDS: &[Kin] = &[
    Kin { name: "llama", kv_heads: 2, fused: false, gate: true, tolerance: ROUNDING },
    Kin { name: "qwen2", kv_heads: 2, fused: false, gate: true, tolerance: ROUNDING },
    Kin { name: "qwen3", kv_heads: 2, fused: false, gate: true, tolerance: ROUNDING },
    Kin { name: "phi3", kv_heads: 4, fused: true, gate: false, tolerance: ROUNDING },
    Kin { name: "gpt2", kv_heads: 4, fused: true, gate: false, tolerance: GELU_TABLE },
    Kin { name: "gemma2", kv_heads: 2, fused: false, gate: true, tolerance: GELU_TABLE },
    Kin { name: "gemma3", kv_heads: 2, fused: false, gate: true, tolerance: GELU_TABLE },
];

/// Writes a model of random weights that llama.cpp loads.
fn write_model(kin: &Kin, folder: &Path) -> PathBuf {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf");
    let demo = Gguf::open(&demo).unwrap();
    let mut file = Writer::new();
    file.copy_meta(&demo);
    for key in demo.keys().filter(|key| key.starts_with("llama.")) {
        file.remove(key);
    }
    let arch = kin.name;
    let key = |name: &str| format!("{arch}.{name}");
    file.set("general.architecture", arch);
    for (name, value) in [
        ("context_length", POSITIONS),
        ("embedding_length", WIDTH),
        ("block_count", LAYERS),
        ("feed_forward_length", INNER),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", kin.kv_heads),
    ] {
        file.set(&key(name), value as u32);
    }
    if arch == "gpt2" {
        file.set(&key("attention.layer_norm_epsilon"), 1e-5_f32);
    } else {
        file.set(&key("attention.layer_norm_rms_epsilon"), 1e-5_f32);
        file.set(&key("rope.freq_base"), 10000.0_f32);
        file.set(&key("rope.dimension_count"), HEAD as u32);
    }
    if matches!(arch, "phi3" | "gemma2" | "gemma3") {
        file.set(&key("attention.sliding_window"), 5_u32);
    }
    if arch == "phi3" {
        file.set(&key("rope.scaling.original_context_length"), POSITIONS as u32);
    }
    if matches!(arch, "qwen3" | "gemma2" | "gemma3") {
        file.set(&key("attention.key_length"), HEAD as u32);
        file.set(&key("attention.value_length"), HEAD as u32);
    }
    if arch == "gemma2" {
        file.set(&key("attn_logit_softcapping"), 50.0_f32);
        file.set(&key("final_logit_softcapping"), 30.0_f32);
    }
    let n_vocab = demo.tensor("token_embd.weight").unwrap().shape[1];
    for (name, shape) in tensors(kin, n_vocab) {
        file.tensor(&name, &shape, WeightType::F32).unwrap();
    }
    let path = folder.join(format!("{arch}.gguf"));
    let mut out = BufWriter::new(File::create(&path).unwrap());
    let mut random = Random(17);
    file.write(&mut out, |tensor, out| {
        let fan_in = tensor.shape[0] as f32;
        for _ in 0..tensor.elements() {
            let value = match tensor.shape.len() {
                1 if tensor.name.ends_with(".weight") => 1.0 + 0.1 * random.next(),
                1 => 0.1 * random.next(),
                _ if tensor.name.contains("embd") => 0.5 * random.next(),
                _ => random.next() / fan_in.sqrt(),
            };
            out.write_all(&value.to_le_bytes())?;
        }
        Ok(())
    })
    .unwrap();
    path
}

/// Names and shapes of the file's tensors.
fn tensors(kin: &Kin, n_vocab: u64) -> Vec<(String, Vec<u64>)> {
    let (arch, query, kv) = (kin.name, HEADS * HEAD, kin.kv_heads * HEAD);
    let gemma = arch.starts_with("gemma");
    let mut all = vec![("token_embd.weight".to_owned(), vec![WIDTH, n_vocab])];
    let mut add = |name: String, shape: &[u64]| all.push((name, shape.to_vec()));
    if arch == "gpt2" {
        add("position_embd.weight".into(), &[WIDTH, POSITIONS]);
        add("output_norm.bias".into(), &[WIDTH]);
    }
    add("output_norm.weight".into(), &[WIDTH]);
    if !gemma {
        add("output.weight".into(), &[WIDTH, n_vocab]);
    }
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape: &[u64]| add(format!("blk.{layer}.{name}"), shape);
        let mut linear = |name: &str, width: u64, out: u64, bias: bool| {
            add(&format!("{name}.weight"), &[width, out]);
            if bias {
                add(&format!("{name}.bias"), &[out]);
            }
        };
        let biased = arch == "gpt2";
        if kin.fused {
            linear("attn_qkv", WIDTH, query + 2 * kv, biased);
        } else {
            for (name, out) in [("attn_q", query), ("attn_k", kv), ("attn_v", kv)] {
                linear(name, WIDTH, out, arch == "qwen2");
            }
        }
        linear("attn_output", query, WIDTH, biased);
        if kin.gate {
            linear("ffn_gate", WIDTH, INNER, false);
        }
        linear("ffn_up", WIDTH, if arch == "phi3" { 2 * INNER } else { INNER }, biased);
        linear("ffn_down", INNER, WIDTH, biased);
        for norm in ["attn_norm", "ffn_norm"] {
            add(&format!("{norm}.weight"), &[WIDTH]);
            if biased {
                add(&format!("{norm}.bias"), &[WIDTH]);
            }
        }
        if matches!(arch, "qwen3" | "gemma3") {
            add("attn_q_norm.weight", &[HEAD]);
            add("attn_k_norm.weight", &[HEAD]);
        }
        if gemma {
            add("post_attention_norm.weight", &[WIDTH]);
            add("post_ffw_norm.weight", &[WIDTH]);
        }
    }
    all
}

/// Numbers with mean 0 and variance 1, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        // Sums of uniform numbers are near enough to normal; 12 of them have variance 1.
        let uniform = |state: &mut u64| {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (*state >> 40) as f32 / (1_u64 << 24) as f32
        };
        (0..12).map(|_| uniform(&mut self.0)).sum::<f32>() - 6.0
    }
}

/// What one run showed.
#[derive(Default)]
struct Collected(BTreeMap<(u32, Checkpoint), Vec<f32>>);

impl RecordSink for Collected {
    fn record(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        _: Option<&str>,
        _: &str,
        _: &[u32],
        values: &[f32],
    ) -> Result<(), TraceError> {
        assert!(self.0.insert((position, checkpoint), values.to_vec()).is_none(), "{checkpoint} twice");
        Ok(())
    }
}

fn llama_cpp(path: &Path, columns: usize) -> Collected {
    let load = LoadSettings::default();
    let context = ContextSettings {
        positions: TOKENS.len(),
        columns,
        threads: 1,
        flash_attn: false,
        kv: KvType::F32,
        tapped: true,
    };
    let settings = RunSettings { load, context, sampling: Sampling::default(), capture: CaptureSet::All };
    let model = Arc::new(Model::load(path, load).unwrap());
    let mut run = LlamaRun::new(model, settings, Arc::default()).unwrap();
    let mut collected = Collected::default();
    for tokens in TOKENS.chunks(columns) {
        run.decode(tokens, &mut collected).unwrap();
    }
    collected
}

/// Largest ‖a − b‖ / ‖b‖ of a cell, and which.
fn worst(a: &Collected, b: &Collected) -> (f64, String) {
    let mut worst = (0.0, String::new());
    assert!(a.0.keys().eq(b.0.keys()));
    for ((position, checkpoint), x) in &a.0 {
        let y = &b.0[&(*position, *checkpoint)];
        assert_eq!(x.len(), y.len(), "{checkpoint}");
        let error: f64 = x.iter().zip(y).map(|(x, y)| f64::from(x - y).powi(2)).sum();
        let norm: f64 = y.iter().map(|y| f64::from(*y).powi(2)).sum();
        let relative = (error / norm.max(1e-30)).sqrt();
        assert!(relative.is_finite(), "{checkpoint}");
        if relative > worst.0 {
            worst = (relative, format!("{checkpoint} at {position}"));
        }
    }
    worst
}

#[test]
fn every_architecture_shows_every_checkpoint_with_our_values() {
    let folder = tempfile::tempdir().unwrap();
    for kin in KINDS {
        let path = write_model(kin, folder.path());
        let gguf = Arc::new(Gguf::open(&path).unwrap());
        let graph = arch::graph(&gguf).unwrap();
        let theirs = llama_cpp(&path, 1);
        let expected = graph.checkpoints().count() * TOKENS.len();
        let mut engine =
            open::open(Kind::Cpu, &gguf, graph, CpuOptions { threads: 1, kv_f16: false }).unwrap();
        engine.set_capture(CaptureSet::All);
        let mut ours = Collected::default();
        let mut run = OwnRun::new(engine, None);
        run.feed(&TOKENS, &mut ours).unwrap();
        assert_eq!(ours.0.len(), expected, "{}", kin.name);
        let names = |c: &Collected| c.0.keys().map(|(p, c)| format!("{p} {c}")).collect::<Vec<_>>();
        assert_eq!(names(&theirs), names(&ours), "{}", kin.name);
        let (error, place) = worst(&theirs, &ours);
        assert!(error < kin.tolerance, "{}: {place} differs by {error:.1e}", kin.name);
    }
}

#[test]
fn a_batch_shows_the_rows_of_single_tokens() {
    let folder = tempfile::tempdir().unwrap();
    for kin in KINDS {
        let path = write_model(kin, folder.path());
        let (single, batch) = (llama_cpp(&path, 1), llama_cpp(&path, 5));
        let (error, place) = worst(&batch, &single);
        // The same sums in another order; a row of another token would be off by about 1.
        assert!(error < 10.0 * kin.tolerance, "{}: {place} differs by {error:.1e}", kin.name);
    }
}

#[test]
fn gemma_names_what_only_it_has() {
    let folder = tempfile::tempdir().unwrap();
    for kin in KINDS.iter().filter(|kin| kin.name.starts_with("gemma")) {
        let cells = llama_cpp(&write_model(kin, folder.path()), 1).0;
        let names: Vec<_> =
            cells.keys().filter(|(position, _)| *position == 2).map(|(_, c)| c.to_string()).collect();
        let in_layer = [
            "attn_norm",
            "Qcur",
            "Qcur_rope",
            "Qcur_scaled",
            "Vcur",
            "Kcur",
            "Kcur_rope",
            "kq",
            "kq_soft_max",
            "kqv_out",
            "attn_out",
            "attn_post_norm",
            "ffn_inp",
            "ffn_norm",
            "ffn_gate",
            "ffn_up",
            "ffn_gelu",
            "ffn_out",
            "ffn_post_norm",
            "l_out",
        ];
        let normed: &[&str] = if kin.name == "gemma3" { &["Qcur_normed", "Kcur_normed"] } else { &[] };
        let mut expected: Vec<_> =
            ["embd", "inpL", "result_norm", "result_output"].map(str::to_owned).to_vec();
        for layer in 0..LAYERS {
            expected.extend(in_layer.iter().chain(normed).map(|site| format!("{site}-{layer}")));
        }
        expected.sort();
        let mut names = names;
        names.sort();
        assert_eq!(names, expected, "{}", kin.name);
    }
}
