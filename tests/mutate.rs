//! Changed model files: what is not changed keeps its bytes, and our engine over the changed file computes
//! what it computes with the same fault over the right one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::engine::cpu::{CpuOptions, Oracle};
use paritty::engine::{Engine, EngineError, Tap};
use paritty::fault::{FAULTS, Injection};
use paritty::gguf::Gguf;
use paritty::model::{CaptureSet, Checkpoint, Graph, arch};
use paritty::mutate::{Change, Edit};
use tempfile::TempDir;

const TOKENS: [u32; 6] = [1, 443, 900, 77, 900, 1000];

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models").join(format!("shakespeare-{name}.gguf"))
}

fn change(from: &Gguf, changes: &[&str], to: &Path) -> Result<(), String> {
    let mut edit = Edit::new(from);
    for change in changes {
        change.parse::<Change>().map_err(|e| e.to_string())?.apply(&mut edit).map_err(|e| e.to_string())?;
    }
    edit.save(to, |_| {}).map_err(|e| e.to_string())
}

#[derive(Default)]
struct Collect(Vec<(Checkpoint, Vec<f32>)>);

impl Tap for Collect {
    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        _: &str,
        _: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        self.0.push((checkpoint, values.to_vec()));
        Ok(())
    }
}

fn run(gguf: &Arc<Gguf>, graph: Graph) -> Vec<(Checkpoint, Vec<f32>)> {
    let mut engine = Oracle::new(gguf, graph, CpuOptions { threads: 1, kv_f16: false }).unwrap();
    engine.set_capture(CaptureSet::All);
    let mut tap = Collect::default();
    for token in TOKENS {
        engine.step(token, &mut tap).unwrap();
    }
    tap.0
}

/// Largest ‖a − b‖ / ‖b‖ of any tensor.
fn worst(a: &[(Checkpoint, Vec<f32>)], b: &[(Checkpoint, Vec<f32>)]) -> (f64, Checkpoint) {
    let relative = |a: &[f32], b: &[f32]| {
        let diff: f64 = a.iter().zip(b).map(|(&a, &b)| (a as f64 - b as f64).powi(2)).sum();
        (diff / b.iter().map(|&b| (b as f64).powi(2)).sum::<f64>().max(1e-30)).sqrt()
    };
    let all = a.iter().zip(b).map(|((c, a), (_, b))| (relative(a, b), *c));
    all.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn without_a_change_every_byte_stays() {
    let folder = TempDir::new().unwrap();
    for name in ["f16", "q4_k_m", "gpt2-f32", "phi3-q4_k_m"] {
        let out = folder.path().join("same.gguf");
        change(&Gguf::open(&asset(name)).unwrap(), &[], &out).unwrap();
        assert!(std::fs::read(&out).unwrap() == std::fs::read(asset(name)).unwrap(), "{name}");
    }
}

#[test]
fn only_what_is_named_changes() {
    let folder = TempDir::new().unwrap();
    let from = Gguf::open(&asset("q4_k_m")).unwrap();
    let out = folder.path().join("other.gguf");
    let changed = |changes: &[&str]| {
        change(&from, changes, &out).unwrap();
        let to = Gguf::open(&out).unwrap();
        let different = |t: &&paritty::gguf::TensorInfo| {
            to.tensor(&t.name).is_none_or(|other| to.data(other) != from.data(t))
        };
        from.tensors().iter().filter(different).map(|t| t.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(changed(&["rows:tensor=blk.2.attn_v.weight,first=3,by=0"]), ["blk.2.attn_v.weight"]);
    assert_eq!(changed(&["scale:tensor=blk.1.ffn_down.weight,by=1.05"]), ["blk.1.ffn_down.weight"]);
    assert_eq!(changed(&["set:llama.rope.freq_base=500000"]), [""; 0]);
    assert_eq!(changed(&["norm-weight-bf16@3"]), ["blk.3.attn_norm.weight", "blk.3.ffn_norm.weight"]);
    let swapped = changed(&["swap:a=blk.0.ffn_up.weight,b=blk.0.ffn_gate.weight"]);
    assert_eq!(swapped.len(), 2, "{swapped:?}");
    assert_eq!(
        changed(&["swap:a=blk.0.ffn_up.weight,b=blk.0.ffn_gate.weight", "missing:tensor=output_norm.weight"])
            .len(),
        3
    );

    // One cleared row is zero, its neighbours are what they were.
    change(&from, &["rows:tensor=blk.2.attn_v.weight,first=3,by=0"], &out).unwrap();
    let values = |gguf: &Gguf| gguf.to_f32(gguf.tensor("blk.2.attn_v.weight").unwrap()).unwrap();
    let (before, after) = (values(&from), values(&Gguf::open(&out).unwrap()));
    assert!(after[3 * 256..4 * 256].iter().all(|v| *v == 0.0));
    assert_eq!((&before[..3 * 256], &before[4 * 256..]), (&after[..3 * 256], &after[4 * 256..]));
}

#[test]
fn a_fault_in_the_file_is_the_fault_in_the_engine() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("wrong.gguf");
    let mut made = std::collections::BTreeSet::new();
    for name in ["f16", "q4_k_m", "llama3-q4_k_m", "qwen2-f16", "gpt2-f32"] {
        let from = Arc::new(Gguf::open(&asset(name)).unwrap());
        let graph = arch::graph(&from).unwrap();
        let clean = run(&from, graph.clone());
        for fault in FAULTS {
            let Ok(()) = change(&from, &[fault.id()], &out) else { continue };
            let mut wrong = graph.clone();
            fault.id().parse::<Injection>().unwrap().apply(&mut wrong).unwrap();
            let in_engine = run(&from, wrong);
            let file = Arc::new(Gguf::open(&out).unwrap());
            let in_file = run(&file, arch::graph(&file).unwrap());
            let (error, at) = worst(&in_file, &in_engine);
            // Both are f64 over the same values; weights rounded to f16 on the way into the file (1 + w is
            // only ever written as f32) would show as 1e-4.
            assert!(error < 1e-6, "{name} {}: {error:e} at {at}", fault.id());
            assert!(worst(&in_file, &clean).0 > 1e-5, "{name} {} changes nothing", fault.id());
            made.insert(fault.id());
        }
    }
    let few: Vec<_> = [
        "rope-base",
        "rope-width",
        "rope-factors",
        "qkv-bias",
        "norm-epsilon",
        "norm-offset",
        "norm-weight",
        "norm-weight-bf16",
        "final-norm-weight",
        "heads-permuted",
        "rows-permuted",
        "transposed",
        "ffn-transposed",
        "other-tensor",
        "dequantise-q4_k",
        "dequantise-q6_k",
        "embedding-row",
        "embedding-transposed",
    ]
    .into_iter()
    .filter(|id| !made.contains(id))
    .collect();
    assert!(few.is_empty(), "never made: {few:?}");
}

#[test]
fn what_a_file_cannot_say_is_refused() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("wrong.gguf");
    let from = Gguf::open(&asset("q4_k_m")).unwrap();
    for (wrong, says) in [
        ("kv-off-by-one", "mistake of the engine"),
        ("freed-memory", "mistake of the recorder"),
        ("rope-base@1", "leave out @LAYER"),
        ("transposed", "reads but does not write"),
        ("qkv-bias", "no such operation"),
        ("nonsense", "no change is called `nonsense`"),
        ("scale:tensor=blk.9.attn_q.weight", "is not in this file"),
        ("scale:tensor=blk.0.attn_q.weight,by=much", "expected a number"),
        ("scale:by=2", "give tensor="),
        ("scale:row=2", "expected one of tensor, by"),
        ("element:tensor=blk.0.attn_norm.weight,channel=256", "has 1 rows of 256 values"),
        ("swap:a=blk.0.attn_q.weight,b=blk.0.attn_k.weight", "cannot stand for it"),
        ("set:llama.block_count=many", "expected an integer"),
    ] {
        let error = change(&from, &[wrong], &out).unwrap_err();
        assert!(error.contains(says), "{wrong}: {error}");
        assert!(!out.exists(), "{wrong}");
    }
    let error = change(&from, &[], &asset("q4_k_m")).unwrap_err();
    assert!(error.contains("write to another"), "{error}");
    let scaled = Gguf::open(&asset("llama3-q4_k_m")).unwrap();
    assert!(change(&scaled, &["rope-factors@1"], &out).unwrap_err().contains("leave out @LAYER"));
    let tied = Gguf::open(&asset("qwen2-f16")).unwrap();
    assert!(change(&tied, &["embedding-row"], &out).unwrap_err().contains("share one tensor"));
}
