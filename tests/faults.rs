//! Every fault: it changes what it says, first where it says, and nothing before; where a model has no
//! place for it, it is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::engine::cpu::{CpuOptions, Oracle};
use paritty::engine::{EngineError, Tap};
use paritty::fault::{FAULTS, Injection, Injections, recorder};
use paritty::gguf::{Gguf, WeightType};
use paritty::model::{CaptureSet, Checkpoint, Graph, Op, Site, arch};
use paritty::synth::Synth;
use paritty::synth::mix::Mix;
use paritty::synth::shape::Shape;
use tempfile::TempDir;

/// Arbitrary ids of every vocabulary here, with repeats; longer than the windows and than
/// `FIRST_DECODED`.
const TOKENS: [u32; 12] = [1, 443, 900, 77, 900, 1000, 13, 5, 6, 443, 7, 8];

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models").join(format!("{name}.gguf"))
}

/// The demos and one small model of random weights for each architecture and type that they lack.
fn models(folder: &TempDir) -> Vec<(String, PathBuf)> {
    let demos = [
        "shakespeare-f16",
        "shakespeare-q4_k_m",
        "shakespeare-llama3-q4_k_m",
        "shakespeare-qwen2-f16",
        "shakespeare-phi3-q4_k_m",
        "shakespeare-gpt2-f32",
    ];
    let mut models: Vec<(String, PathBuf)> = demos.map(|d| (d.to_owned(), asset(d))).into();
    let vocab = Gguf::open(&asset("shakespeare-q4_k_m")).unwrap();
    for (name, mix) in
        [("gemma2-2b", "f32"), ("gemma3-1b", "q8_0"), ("qwen3-0.6b", "q4_0"), ("tinyllama-1.1b", "q5_k_m")]
    {
        let mut shape = Shape::named(name).unwrap();
        shape.n_layer = 3;
        (shape.n_embd, shape.n_head, shape.n_head_kv, shape.head_dim) = (256, 4, 2, 64);
        (shape.n_rot, shape.n_ff, shape.n_ctx) = (shape.n_rot.min(64), 256, 64);
        shape.window = shape.window.map(|_| 6);
        let path = folder.path().join(format!("{name}.gguf"));
        Synth::new(&shape, Mix::named(mix).unwrap(), &vocab, 1).unwrap().save(&path, |_| {}).unwrap();
        models.push((format!("{name} {mix}"), path));
    }
    models
}

type Position = Vec<(Checkpoint, Vec<f32>)>;

/// What is shown at one position.
#[derive(Default)]
struct Collect(Position);

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

fn run(gguf: &Arc<Gguf>, graph: Graph, faults: &Injections) -> Vec<Position> {
    let oracle = Oracle::new(gguf, graph, CpuOptions { threads: 1, kv_f16: false }).unwrap();
    let mut engine = recorder::dress(Box::new(oracle), faults);
    engine.set_capture(CaptureSet::All);
    TOKENS
        .iter()
        .map(|&token| {
            let mut tap = Collect::default();
            engine.step(token, &mut tap).unwrap();
            tap.0
        })
        .collect()
}

/// First cell, in order of position and execution, whose values are not the same. Both runs are f64 and
/// rounded once, so what is not touched is equal bit for bit.
fn first_difference(clean: &[Position], other: &[Position]) -> Option<(usize, Checkpoint)> {
    clean.iter().zip(other).enumerate().find_map(|(p, (a, b))| {
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        a.iter().zip(b).find(|((_, a), (_, b))| bits(a) != bits(b)).map(|((c, _), _)| (p, *c))
    })
}

/// First position at which a fault may show, and the sites at which it may show first.
fn expected(id: &str) -> (usize, &'static [Site]) {
    use Site::*;
    const ROPE: &[Site] = &[QcurRope, KcurRope];
    const NORMS: &[Site] = &[AttnNorm];
    const PRODUCTS: &[Site] =
        &[Qcur, QcurMm, Wqkv, Vcur, VcurMm, Kcur, KcurMm, FfnUp, AttnOut, FfnGate, FfnOut, ResultOutput];
    match id {
        "rope-pairing" | "rope-base" | "rope-factors" | "rope-width" | "rope-twice" => (1, ROPE),
        "position-shift" => (0, ROPE),
        "query-position" => (0, &[QcurRope]),
        "shared-counter" => (8, ROPE),
        "qkv-bias" => (0, &[Qcur, WqkvB]),
        "norm-epsilon" | "norm-offset" | "norm-weight" | "norm-weight-bf16" | "norm-bf16" | "norm-length"
        | "layer-norm" => (0, NORMS),
        "final-norm-weight" | "final-norm-skipped" | "final-norm-twice" | "logged-before-norm" => {
            (0, &[ResultNorm])
        }
        "kq-f16" | "gqa-tile" => (0, &[Kq]),
        "kv-off-by-one" => (1, &[Kq]),
        "kv-decode" => (8, &[Kq]),
        "unwritten-slot" => (3, &[Kq]),
        "heads-permuted" => (0, &[Kcur, KcurMm]),
        "rows-permuted" => (0, &[Qcur, QcurMm]),
        "transposed" => (0, &[AttnOut]),
        "ffn-transposed" | "sum-bf16" => (0, &[FfnOut]),
        "other-tensor" => (0, &[FfnGate]),
        "output-matrix" | "logit-softcap" | "freed-memory" | "padded-logits" => (0, &[ResultOutput]),
        "window-ignored" => (6, &[KqSoftMax]),
        "window-short" => (5, &[KqSoftMax]),
        "score-softcap" | "mask-shifted" | "attention-scale" | "scale-twice" => (1, &[KqSoftMax]),
        "scale-missing" => (1, &[KqSoftMax, QcurScaled]),
        "stale-input" => (1, &[FfnOut]),
        "ffn-activation" => (0, &[FfnSwiglu]),
        "gelu-erf" | "gelu-silu" => (0, &[FfnGelu]),
        "gate-up-swapped" => (0, &[FfnSwiglu, FfnGelu]),
        "embedding-row" | "embedding-transposed" | "ten-values" => (0, &[Embd]),
        "residual-missing" | "residual-in-parts" => (0, &[LOut]),
        "stale-dump" => (0, &[AttnNorm]),
        "logits-of-another" => (1, &[ResultOutput]),
        id if id.starts_with("dequantise-") => (0, PRODUCTS),
        other => panic!("{other}: say where it shows"),
    }
}

#[test]
fn every_fault_shows_first_where_it_was_made() {
    let folder = TempDir::new().unwrap();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, path) in models(&folder) {
        let gguf = Arc::new(Gguf::open(&path).unwrap());
        let graph = arch::graph(&gguf).unwrap();
        let clean = run(&gguf, graph.clone(), &Injections::default());
        for fault in FAULTS {
            let injection: Injection = fault.id().parse().unwrap();
            if injection.changes_tokens() || fault.id() == "nan-as-zero" {
                continue;
            }
            let mut wrong = graph.clone();
            let Ok(()) = injection.apply(&mut wrong) else { continue };
            let rewritten: BTreeSet<Checkpoint> = graph
                .nodes
                .iter()
                .zip(&wrong.nodes)
                .filter(|(a, b)| a != b)
                .filter_map(|(a, _)| a.checkpoint)
                .collect();
            let faulty = run(&gguf, wrong, &Injections::new(vec![injection]));
            let Some((position, checkpoint)) = first_difference(&clean, &faulty) else {
                problems.push(format!("{name}: {} changes nothing", fault.id()));
                continue;
            };
            let (from, sites) = expected(fault.id());
            // The query is scaled from position 0 on, the only score of position 0 may be of any size.
            let from = if checkpoint.site() == Site::QcurScaled { 0 } else { from };
            let right = sites.contains(&checkpoint.site())
                && position == from
                && rewritten.is_empty() == fault.mislog().is_some()
                && (rewritten.is_empty() || rewritten.contains(&checkpoint));
            if !right {
                problems.push(format!("{name}: {} shows first at {position}, {checkpoint}", fault.id()));
            }
            *made.entry(fault.id()).or_default() += 1;
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    for fault in FAULTS {
        let tokens = fault.tokens(&mut vec![1, 2]);
        assert!(
            made.contains_key(fault.id()) || tokens || fault.id() == "nan-as-zero",
            "{} was never made",
            fault.id()
        );
    }
}

#[test]
fn a_fault_in_one_layer_leaves_those_before_it_alone() {
    let gguf = Arc::new(Gguf::open(&asset("shakespeare-qwen2-q4_k_m")).unwrap());
    let graph = arch::graph(&gguf).unwrap();
    let clean = run(&gguf, graph.clone(), &Injections::default());
    for id in [
        "rope-pairing",
        "qkv-bias",
        "norm-epsilon",
        "transposed",
        "dequantise-q4_k",
        "mask-shifted",
        "shared-counter",
    ] {
        for layer in [1, 2] {
            let faults = Injections::new(vec![format!("{id}@{layer}").parse().unwrap()]);
            let mut wrong = graph.clone();
            faults.apply(&mut wrong).unwrap();
            let (_, first) = first_difference(&clean, &run(&gguf, wrong, &faults)).unwrap();
            assert_eq!(first.layer_index(), Some(layer), "{id}: {first}");
        }
    }
}

#[test]
fn several_faults_are_made_together() {
    let gguf = Arc::new(Gguf::open(&asset("shakespeare-qwen2-f16")).unwrap());
    let graph = arch::graph(&gguf).unwrap();
    let faults = Injections::new(
        ["norm-offset@1", "norm-weight-bf16@1", "mask-shifted@2"].map(|f| f.parse().unwrap()).into(),
    );
    assert_eq!(faults.to_string(), "norm-offset@1, norm-weight-bf16@1, mask-shifted@2");
    let mut wrong = graph.clone();
    faults.apply(&mut wrong).unwrap();
    let node = |site, layer| wrong.node(wrong.find(Checkpoint::layer(site, layer)).unwrap());
    assert_eq!(node(Site::AttnNorm, 1).departure.views.len(), 2);
    assert_eq!(node(Site::KqSoftMax, 2).departure.names(), ["mask shifted"]);
    assert!(node(Site::AttnNorm, 0).departure.is_none());
    assert!(graph.nodes.iter().all(|n| n.departure.is_none()));
}

#[test]
fn what_cannot_be_made_is_refused_by_name() {
    let gguf = Gguf::open(&asset("shakespeare-f16")).unwrap();
    let graph = arch::graph(&gguf).unwrap();
    for (fault, says) in [
        ("qkv-bias", "no such operation"),
        ("rope-factors", "no such operation"),
        ("window-ignored", "no such operation"),
        ("dequantise-q4_k", "no such operation"),
        ("rope-pairing@6", "in layer 6"),
        ("shared-counter@0", "in layer 0"),
        ("freed-memory@2", "takes no @LAYER"),
        ("bos-missing@1", "takes no @LAYER"),
    ] {
        let error = fault.parse::<Injection>().unwrap().apply(&mut graph.clone()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn tokens_change_before_the_engine() {
    let tokens = |fault: &str| {
        let mut tokens = vec![1, 7, 9];
        Injections::new(vec![fault.parse().unwrap()]).change_tokens(&mut tokens);
        tokens
    };
    assert_eq!(tokens("bos-missing"), [7, 9]);
    assert_eq!(tokens("bos-doubled"), [1, 1, 7, 9]);
    assert_eq!(tokens("rope-pairing"), [1, 7, 9]);
}

#[test]
fn nan_is_recorded_as_zero_where_there_is_one() {
    let gguf = Arc::new(Gguf::open(&asset("shakespeare-f16")).unwrap());
    let mut graph = arch::graph(&gguf).unwrap();
    // Scores beyond 65504, as Phi-2 has them: infinite in f16, then NaN.
    let scores = graph.find("kq-2".parse().unwrap()).unwrap();
    let query = graph.node(scores).inputs[0];
    graph.nodes[query.index()].op = Op::Scale { factor: 1e6 };
    "kq-f16@2".parse::<Injection>().unwrap().apply(&mut graph).unwrap();
    let shown = |faults: &[&str]| {
        let faults = Injections::new(faults.iter().map(|f| f.parse().unwrap()).collect());
        let last = run(&gguf, graph.clone(), &faults).pop().unwrap();
        last.into_iter().find(|(c, _)| c.to_string() == "kq-2").unwrap().1
    };
    assert!(shown(&[]).iter().any(|v| v.is_infinite()));
    assert!(shown(&["nan-as-zero"]).iter().all(|v| v.is_finite()));
    assert!(shown(&["nan-as-zero"]).contains(&0.0));
}

#[test]
fn the_graph_knows_how_weights_are_stored() {
    let gguf = Gguf::open(&asset("shakespeare-q4_k_m")).unwrap();
    let graph = arch::graph(&gguf).unwrap();
    let of = |name: &str| graph.node(graph.find(name.parse().unwrap()).unwrap()).weight_type;
    assert_eq!(of("result_output"), Some(WeightType::Q6K));
    assert_eq!(of("attn_norm-0"), Some(WeightType::F32));
    assert_eq!(of("kq-0"), None);
}
