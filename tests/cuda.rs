//! The CUDA engine on a GPU, against the CPU engine, the oracle and itself.
//!
//! `cargo test --test cuda -- --ignored` on a machine with a GPU; `tests/gpu.sh` does more. Models are
//! those in `assets/` and random ones made here; `PARITTY_MODELS` names a folder with more.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking; figures are for people"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::engine::cpu::{CpuOptions, F32Engine, Oracle};
use paritty::engine::cuda::{CudaEngine, CudaError, CudaOptions};
use paritty::engine::{Engine, EngineError, NoTap, Tap};
use paritty::fault::{FAULTS, Injection};
use paritty::gguf::{Gguf, WeightType, Writer};
use paritty::model::{CaptureSet, Checkpoint, Graph, Op, Site, arch};
use paritty::synth::Synth;
use paritty::synth::mix::{MIXES, Mix};
use paritty::synth::shape::{SHAPES, Shape};

#[allow(dead_code)]
mod weight_blocks;

/// Arbitrary ids that every vocabulary here has (the smallest has 1,024), with a repeat.
const TOKENS: [u32; 7] = [1, 443, 1001, 77, 1001, 900, 13];

/// Where the repository is when the test runs, which need not be where it was built.
fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

fn open(path: &Path) -> (Arc<Gguf>, Graph) {
    let gguf = Arc::new(Gguf::open(path).unwrap());
    let graph = arch::graph(&gguf).unwrap();
    (gguf, graph)
}

fn demo() -> (Arc<Gguf>, Graph) {
    open(&root().join("assets/models/shakespeare-q4_k_m.gguf"))
}

fn cuda(gguf: &Arc<Gguf>, graph: &Graph, kv_f16: bool) -> CudaEngine {
    let options = CudaOptions { kv_f16, ..CudaOptions::default() };
    CudaEngine::new(gguf, graph.clone(), &options, &mut |_, _| {}).unwrap()
}

fn cpu(kv_f16: bool) -> CpuOptions {
    CpuOptions { threads: 0, kv_f16 }
}

#[derive(Default)]
struct Collect {
    position: usize,
    tensors: HashMap<(usize, Checkpoint), Vec<f32>>,
}

impl Tap for Collect {
    fn position(&mut self, position: usize) {
        self.position = position;
    }

    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        _: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        assert_eq!(shape.iter().product::<u32>() as usize, values.len(), "{checkpoint}");
        let before = self.tensors.insert((self.position, checkpoint), values.to_vec());
        assert!(before.is_none(), "{checkpoint} twice at {}", self.position);
        Ok(())
    }
}

type Run = HashMap<(usize, Checkpoint), Vec<f32>>;

/// Everything that `set` captures, and the logits of each position.
fn run(engine: &mut dyn Engine, tokens: &[u32], set: CaptureSet) -> (Run, Vec<Vec<f32>>) {
    engine.set_capture(set);
    let mut tap = Collect::default();
    let logits = tokens.iter().map(|&token| engine.step(token, &mut tap).unwrap().to_vec()).collect();
    (tap.tensors, logits)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// ‖a − b‖ / ‖b‖. NaN and infinities make it NaN.
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f64| v * v;
    let diff: f64 = a.iter().zip(b).map(|(&a, &b)| square(a as f64 - b as f64)).sum();
    let norm: f64 = b.iter().map(|&b| square(b as f64)).sum();
    if norm == 0.0 { diff.sqrt() } else { (diff / norm).sqrt() }
}

/// The largest error of a run against another, and where.
fn worst(run: &Run, reference: &Run) -> (f64, String) {
    assert_eq!(run.len(), reference.len());
    let mut worst = (0.0, String::new());
    for (&(position, checkpoint), values) in run {
        let error = relative(values, &reference[&(position, checkpoint)]);
        assert!(error.is_finite(), "{checkpoint} at {position}: {error}");
        if error >= worst.0 {
            worst = (error, format!("{checkpoint} at {position}"));
        }
    }
    worst
}

/// A random model of a small shape in the folder.
fn synthetic(folder: &Path, shape: &str, mix: &Mix) -> PathBuf {
    let vocab = Gguf::open(&root().join("assets/models/shakespeare-f16.gguf")).unwrap();
    let path = folder.join(format!("{shape}-{}.gguf", mix.name));
    Synth::new(&Shape::named(shape).unwrap(), mix, &vocab, 5).unwrap().save(&path, |_| {}).unwrap();
    path
}

/// Every model there is: each architecture in F32, F16 and a mix, each mix in one architecture, the
/// trained miniatures, and those of `PARITTY_MODELS`.
fn models(folder: &Path) -> Vec<PathBuf> {
    let mut models = Vec::new();
    for shape in SHAPES.iter().filter(|s| s.name.starts_with("tiny-")) {
        for mix in MIXES {
            let common = ["F32", "F16", "Q4_K_M"].contains(&mix.name);
            if common || shape.name == "tiny-llama" || shape.name == "tiny-qwen2" {
                models.push(synthetic(folder, shape.name, mix));
            }
        }
    }
    let more = std::env::var_os("PARITTY_MODELS").map(PathBuf::from);
    for folder in [Some(root().join("assets/models")), more].into_iter().flatten() {
        let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "gguf"))
            .collect();
        found.sort();
        models.extend(found);
    }
    models
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn every_model_is_as_near_to_the_oracle_as_f32_allows() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for path in models(folder.path()) {
        let (gguf, graph) = open(&path);
        let (device, _) = run(&mut cuda(&gguf, &graph, false), &TOKENS, CaptureSet::All);
        let oracle = Oracle::new(&gguf, graph.clone(), cpu(false));
        let (exact, _) = run(&mut oracle.unwrap(), &TOKENS, CaptureSet::All);
        let (ours, _) = run(&mut F32Engine::new(&gguf, graph, cpu(false)).unwrap(), &TOKENS, CaptureSet::All);
        let ((error, at), (cpu_error, cpu_at)) = (worst(&device, &exact), worst(&ours, &exact));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        println!("{name:<34} {error:.1e} ({at})  cpu {cpu_error:.1e} ({cpu_at})");
        // A rounding to f32 is 6e-8, and some hundred operations follow each other. Sums of products in
        // f32 add to that; the CPU adds pieces in f64. Random models amplify, so the CPU's own error counts.
        if !(error < 2e-5f64.max(20.0 * cpu_error)) {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn every_node_alone_is_within_rounding_of_the_oracle() {
    let folder = tempfile::tempdir().unwrap();
    let mut by_op: HashMap<&str, (f64, String)> = HashMap::new();
    for path in models(folder.path()) {
        let (gguf, graph) = open(&path);
        let mut device = cuda(&gguf, &graph, false);
        let mut oracle = Oracle::new(&gguf, graph.clone(), cpu(false)).unwrap();
        let (exact, _) = run(&mut oracle, &TOKENS, CaptureSet::All);
        for node in &graph.nodes {
            let Some(checkpoint) = node.checkpoint else { continue };
            let names: Option<Vec<Checkpoint>> =
                node.inputs.iter().map(|id| graph.node(*id).checkpoint).collect();
            let Some(names) = names else { continue };
            for position in [0, TOKENS.len() - 1] {
                let inputs: Vec<Vec<f32>> = names
                    .iter()
                    .enumerate()
                    .map(|(i, &name)| {
                        let first = if node.op.history_input() == Some(i) { 0 } else { position };
                        (first..=position).flat_map(|p| exact[&(p, name)].clone()).collect()
                    })
                    .collect();
                let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                let token = TOKENS[position];
                let ours = device.eval(checkpoint, position, token, &inputs).unwrap();
                let theirs = oracle.eval(checkpoint, position, token, &inputs).unwrap();
                assert_eq!(ours.shape, theirs.shape);
                let error = relative(&ours.values, &theirs.values);
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let worst = by_op.entry(node.op.name()).or_default();
                if !(error <= worst.0) {
                    *worst = (error, format!("{name} {checkpoint} at {position}"));
                }
            }
        }
    }
    let mut table: Vec<_> = by_op.iter().collect();
    table.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    for (op, (error, at)) in &table {
        println!("{op:<20} {error:.1e} ({at})");
    }
    for (op, (error, at)) in table {
        let limit = match *op {
            // Copied or widened.
            "embed" | "pos_embed" | "slice" => 0.0,
            // Sums of products in f32: each product and each sum rounds by at most 6e-8 of Σ|w·x|, which
            // random rows exceed their sum by several times.
            "mat_mul" | "attention scores" | "attention mix" => 2e-6,
            // One rounding of a result in f64, or one addition in f32.
            _ => 1.2e-7,
        };
        assert!(*error <= limit, "{op}: {error:e} ({at})");
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn taps_and_their_delay_change_no_bit_and_runs_repeat() {
    for name in ["shakespeare-q4_k_m", "shakespeare-gpt2-f32", "shakespeare-phi3-q4_k_m", "shakespeare-f16"] {
        let (gguf, graph) = open(&root().join(format!("assets/models/{name}.gguf")));
        for kv_f16 in [false, true] {
            let (all, logits) = run(&mut cuda(&gguf, &graph, kv_f16), &TOKENS, CaptureSet::All);
            assert_eq!(all.len(), TOKENS.len() * graph.checkpoints().count());
            for set in [CaptureSet::Off, CaptureSet::Logits, CaptureSet::Layers, CaptureSet::All] {
                let mut engine = cuda(&gguf, &graph, kv_f16);
                let (some, again) = run(&mut engine, &TOKENS, set.clone());
                for (a, b) in logits.iter().zip(&again) {
                    assert_eq!(bits(a), bits(b), "{name} {set}");
                }
                for (cell, values) in &some {
                    assert_eq!(bits(values), bits(&all[cell]), "{name} {set} {cell:?}");
                }
                // The same, shown late.
                engine.rewind(0).unwrap();
                let mut late = Collect::default();
                for (token, expected) in TOKENS.iter().zip(&logits) {
                    assert_eq!(bits(engine.step_ahead(*token, &mut late).unwrap()), bits(expected));
                }
                assert!(late.tensors.len() <= some.len());
                engine.flush(&mut late).unwrap();
                assert_eq!(late.tensors.len(), some.len(), "{name} {set}");
                for (cell, values) in &late.tensors {
                    assert_eq!(bits(values), bits(&some[cell]), "{name} {set} {cell:?}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn rewinding_growing_and_changing_taps_on_the_way_give_the_same_bits() {
    let (gguf, graph) = demo();
    let tokens: Vec<u32> = (0..40).map(|i| 300 + i * 37 % 700).collect();
    let (all, logits) = run(&mut cuda(&gguf, &graph, false), &tokens, CaptureSet::All);

    let small = CudaOptions { positions: 3, ..CudaOptions::default() };
    let mut engine = CudaEngine::new(&gguf, graph.clone(), &small, &mut |_, _| {}).unwrap();
    let mut tap = Collect::default();
    for (position, (&token, expected)) in tokens.iter().zip(&logits).enumerate() {
        match position % 5 {
            0 => engine.set_capture(CaptureSet::All),
            2 => engine.set_capture(CaptureSet::Layers),
            3 => engine.set_capture(CaptureSet::Off),
            _ => {}
        }
        let step = engine.step_ahead(token, &mut tap).unwrap();
        assert_eq!(bits(step), bits(expected), "position {position}");
    }
    engine.flush(&mut tap).unwrap();
    for (cell, values) in &tap.tensors {
        assert_eq!(bits(values), bits(&all[cell]), "{cell:?}");
    }
    engine.set_capture(CaptureSet::All);
    for back in [39, 17, 0] {
        engine.rewind(back).unwrap();
        assert_eq!(engine.position(), back);
        engine.step(9, &mut NoTap).unwrap();
        engine.rewind(back).unwrap();
        let mut tap = Collect::default();
        for (&token, expected) in tokens[back..].iter().zip(&logits[back..]) {
            assert_eq!(bits(engine.step(token, &mut tap).unwrap()), bits(expected));
        }
        for (cell, values) in &tap.tensors {
            assert_eq!(bits(values), bits(&all[cell]), "{cell:?}");
        }
    }
    assert!(engine.rewind(99).is_err());
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn a_graft_replaces_a_checkpoint_for_one_step() {
    for name in ["shakespeare-q4_k_m", "shakespeare-phi3-q4_k_m", "shakespeare-qwen2-f16"] {
        let (gguf, graph) = open(&root().join(format!("assets/models/{name}.gguf")));
        let mut engine = cuda(&gguf, &graph, false);
        let (clean, logits) = run(&mut engine, &TOKENS, CaptureSet::All);
        let mut oracle = Oracle::new(&gguf, graph.clone(), cpu(false)).unwrap();
        for checkpoint in graph.checkpoints().collect::<Vec<_>>() {
            // Its own values change nothing, wherever they are put in.
            engine.rewind(3).unwrap();
            engine.graft(checkpoint, clean[&(3, checkpoint)].clone()).unwrap();
            let mut tap = Collect::default();
            let step = engine.step(TOKENS[3], &mut tap).unwrap().to_vec();
            assert_eq!(tap.tensors.len(), graph.checkpoints().count());
            // A graft inside attention has it computed in parts: the same but for rounding.
            let inside = matches!(checkpoint.site(), Site::Kq | Site::KqSoftMax);
            let same = |a: &[f32], b: &[f32]| if inside { relative(a, b) < 1e-5 } else { bits(a) == bits(b) };
            assert!(same(&step, &logits[3]), "{name} {checkpoint}");
            for (cell, values) in &tap.tensors {
                assert!(same(values, &clean[cell]), "{name}: {cell:?} after a graft at {checkpoint}");
            }
            // Others change what follows, as in the oracle: this step's and the next one's, through the cache.
            let other: Vec<f32> = clean[&(3, checkpoint)].iter().rev().map(|v| 0.5 * v + 0.01).collect();
            for engine in [&mut engine as &mut dyn Engine, &mut oracle] {
                engine.set_capture(CaptureSet::All);
                engine.rewind(0).unwrap();
                for &token in &TOKENS[..3] {
                    engine.step(token, &mut NoTap).unwrap();
                }
                engine.graft(checkpoint, other.clone()).unwrap();
            }
            let (device, _) = run(&mut engine, &TOKENS[3..5], CaptureSet::All);
            let (exact, _) = run(&mut oracle, &TOKENS[3..5], CaptureSet::All);
            let (error, at) = worst(&device, &exact);
            assert!(error < 1e-4, "{name}: graft at {checkpoint}: {error:e} at {at}");
            assert_eq!(device[&(3, checkpoint)], other);
        }
        engine.graft(Checkpoint::layer(Site::LOut, 1), vec![0.0; 3]).unwrap();
        engine.rewind(3).unwrap();
        assert!(engine.step(1, &mut NoTap).is_err());
        // The failed step has left nothing behind.
        engine.rewind(0).unwrap();
        let (_, again) = run(&mut engine, &TOKENS, CaptureSet::Off);
        assert_eq!(bits(&again[6]), bits(&logits[6]));
    }
}

#[test]
fn departures_are_refused_before_any_device_is_asked_for() {
    let (gguf, graph) = demo();
    for fault in ["gqa-tile", "transposed@1", "mask-shifted", "norm-bf16", "stale-input"] {
        let mut wrong = graph.clone();
        fault.parse::<Injection>().unwrap().apply(&mut wrong).unwrap();
        let refused = CudaEngine::new(&gguf, wrong, &CudaOptions::default(), &mut |_, _| {});
        let error = refused.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("cannot make this fault"), "{fault}: {error}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn faults_show_as_they_do_on_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let mut models = vec![root().join("assets/models/shakespeare-q4_k_m.gguf")];
    models.push(synthetic(folder.path(), "tiny-gpt2", Mix::named("F32").unwrap()));
    models.push(synthetic(folder.path(), "tiny-phi3", Mix::named("F16").unwrap()));
    for path in models {
        let (gguf, graph) = open(&path);
        for fault in FAULTS {
            let mut wrong = graph.clone();
            let injection: Injection = fault.id().parse().unwrap();
            if injection.apply(&mut wrong).is_err() {
                continue;
            }
            // What only the CPU executes is refused (see the test above).
            if wrong.departs().is_some() {
                continue;
            }
            let (device, _) = run(&mut cuda(&gguf, &wrong, false), &TOKENS, CaptureSet::All);
            let mut oracle = Oracle::new(&gguf, wrong, cpu(false)).unwrap();
            let (exact, _) = run(&mut oracle, &TOKENS, CaptureSet::All);
            let (error, at) = worst(&device, &exact);
            println!("{:<40} {:<20} {error:.1e} ({at})", path.file_stem().unwrap().display(), fault.id());
            assert!(error < 5e-5, "{}: {error:e} at {at}", fault.id());
        }
    }
}

/// Numbers that a kernel may meet and must not hide.
const HOSTILE: [f32; 12] = [
    0.0,
    -0.0,
    1e-45,
    -1e-40,
    1.1754944e-38,
    65504.0,
    -65520.0,
    3.4028235e38,
    1e30,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// The same class, and near where finite: within `tolerance` of the larger of the two and of `scale`.
fn alike(a: f32, b: f32, tolerance: f32, scale: f32, terms: usize) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a.is_infinite() || b.is_infinite() {
        // At the border of what f32 holds, the order of a sum decides.
        return a == b || a.abs().min(b.abs()) > 1e38;
    }
    // A product that is denormal is off by half of the smallest number.
    (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(scale) + terms as f32 * 1.5e-45
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn hostile_values_come_out_as_on_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    for (shape, mix) in [
        ("tiny-llama", "F32"),
        ("tiny-llama", "F16"),
        ("tiny-llama", "Q4_K_M"),
        ("tiny-gpt2", "F32"),
        ("tiny-gemma2", "Q8_0"),
        ("tiny-qwen3", "F32"),
    ] {
        let (gguf, graph) = open(&synthetic(folder.path(), shape, Mix::named(mix).unwrap()));
        let mut device = cuda(&gguf, &graph, false);
        let mut oracle = Oracle::new(&gguf, graph.clone(), cpu(false)).unwrap();
        let position = 4;
        for node in graph.nodes.iter().filter(|n| n.checkpoint.is_some() && !n.inputs.is_empty()) {
            let checkpoint = node.checkpoint.unwrap();
            for (case, hostile) in HOSTILE.iter().enumerate() {
                // One odd value among ordinary ones, all of them odd, or two kinds mixed.
                for fill in 0..3 {
                    let inputs: Vec<Vec<f32>> = node
                        .inputs
                        .iter()
                        .enumerate()
                        .map(|(i, id)| {
                            let input = graph.node(*id);
                            let all = node.op.history_input() == Some(i) || input.op.grows();
                            let n = input.width * if all { position + 1 } else { 1 };
                            (0..n)
                                .map(|k| match fill {
                                    0 if k == (n / 3 + case) % n => *hostile,
                                    1 => *hostile,
                                    2 if k % 5 == 1 => *hostile,
                                    _ => ((k * 37 + i * 11) % 101) as f32 / 50.0 - 1.0,
                                })
                                .collect()
                        })
                        .collect();
                    let views: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                    let ours = device.eval(checkpoint, position, 1, &views).unwrap().values;
                    let theirs = oracle.eval(checkpoint, position, 1, &views).unwrap().values;
                    // Sums of products: what cancels is as large as the largest finite input allows, and a
                    // sum that overflows f32 on the way is infinite or NaN there and large here.
                    let largest =
                        inputs.iter().flatten().filter(|v| v.is_finite()).fold(0.0f32, |m, v| m.max(v.abs()));
                    let sums = matches!(node.op, Op::MatMul | Op::Scores(_) | Op::Mix(_));
                    if sums && largest > 1e29 {
                        continue;
                    }
                    let product = if matches!(node.op, Op::Scores(_)) { largest * largest } else { largest };
                    let scale = if sums { product * inputs[0].len() as f32 } else { 0.0 };
                    let terms = if sums { inputs[0].len() } else { 4 };
                    for (i, (&a, &b)) in ours.iter().zip(&theirs).enumerate() {
                        assert!(
                            alike(a, b, 2e-6, scale, terms),
                            "{shape} {mix} {checkpoint} [{i}] with {hostile:e} ({fill}): {a:e} here, {b:e} in the oracle"
                        );
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn blocks_of_every_type_are_widened_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let base = synthetic(folder.path(), "tiny-llama", Mix::named("F32").unwrap());
    let from = Gguf::open(&base).unwrap();
    let n_embd = from.tensor("token_embd.weight").unwrap().shape[0];
    for weight_type in WeightType::ALL.into_iter().filter(|t| t.format().dequantize.is_some()) {
        let format = weight_type.format();
        let mut writer = Writer::new();
        writer.copy_meta(&from);
        let mut data = Vec::new();
        for info in from.tensors() {
            if info.name == "token_embd.weight" {
                assert!(n_embd.is_multiple_of(format.block_len as u64));
                writer.tensor(&info.name, &info.shape, weight_type).unwrap();
                data.push(weight_blocks::random(weight_type));
            } else {
                writer.tensor(&info.name, &info.shape, info.weight_type).unwrap();
                data.push(from.data(info).to_vec());
            }
        }
        let path = folder.path().join(format!("{weight_type}.gguf"));
        let mut data = data.into_iter();
        let write = |info: &paritty::gguf::TensorInfo, out: &mut dyn std::io::Write| {
            let bytes = data.next().unwrap();
            let whole: Vec<u8> = bytes.iter().copied().cycle().take(info.bytes as usize).collect();
            out.write_all(&whole)
        };
        writer.save(&path, write).unwrap();
        let (gguf, graph) = open(&path);
        let mut device = cuda(&gguf, &graph, false);
        let embedding = Checkpoint::global(Site::Embd);
        let info = gguf.tensor("token_embd.weight").unwrap();
        let widen = gguf.dequantizer(info).unwrap();
        for token in 0..info.rows().min(300) {
            let ours = device.eval(embedding, 0, token as u32, &[]).unwrap().values;
            let mut theirs = vec![0.0; n_embd as usize];
            widen(&gguf.data(info)[token * info.row_bytes()..][..info.row_bytes()], &mut theirs);
            for (a, b) in ours.iter().zip(&theirs) {
                assert!(
                    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
                    "{weight_type}, {token}: {a:e} {b:e}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn odd_widths_and_long_contexts_are_computed_too() {
    let folder = tempfile::tempdir().unwrap();
    let vocab = Gguf::open(&root().join("assets/models/shakespeare-f16.gguf")).unwrap();
    let tiny = |name| Shape::named(name).unwrap();
    let shapes = [
        Shape {
            n_embd: 60,
            n_head: 5,
            n_head_kv: 1,
            head_dim: 12,
            n_rot: 0,
            n_ff: 91,
            n_layer: 1,
            ..tiny("tiny-llama")
        },
        Shape {
            n_embd: 36,
            n_head: 1,
            n_head_kv: 1,
            head_dim: 36,
            n_rot: 0,
            n_ff: 1,
            n_layer: 2,
            ..tiny("tiny-qwen2")
        },
        Shape {
            n_embd: 66,
            n_head: 6,
            n_head_kv: 6,
            head_dim: 11,
            n_rot: 0,
            n_ff: 33,
            n_layer: 1,
            ..tiny("tiny-gpt2")
        },
        Shape {
            n_embd: 128,
            n_head: 10,
            n_head_kv: 2,
            head_dim: 256,
            n_rot: 0,
            n_ff: 200,
            n_layer: 1,
            ..tiny("tiny-qwen3")
        },
    ];
    for (i, shape) in shapes.iter().enumerate() {
        for mix in ["F32", "F16"] {
            let shape = Shape { n_ctx: 1200, ..*shape };
            let path = folder.path().join(format!("{i}-{mix}.gguf"));
            let Ok(synth) = Synth::new(&shape, Mix::named(mix).unwrap(), &vocab, 9) else {
                println!("{}: no such shape", shape.name);
                continue;
            };
            synth.save(&path, |_| {}).unwrap();
            let (gguf, graph) = open(&path);
            let tokens: Vec<u32> = (0..1100).map(|i| 300 + i * 37 % 700).collect();
            let mut device = cuda(&gguf, &graph, false);
            let mut oracle = Oracle::new(&gguf, graph, cpu(false)).unwrap();
            let (mut ours, mut theirs) = (Collect::default(), Collect::default());
            device.set_capture(CaptureSet::All);
            for (position, &token) in tokens.iter().enumerate() {
                if position % 300 == 150 || position == tokens.len() - 1 {
                    oracle.set_capture(CaptureSet::All);
                    device.step(token, &mut ours).unwrap();
                    oracle.step(token, &mut theirs).unwrap();
                    oracle.set_capture(CaptureSet::Off);
                } else {
                    device.step(token, &mut NoTap).unwrap();
                    oracle.step(token, &mut NoTap).unwrap();
                }
            }
            let (error, at) = worst(&ours.tensors, &theirs.tensors);
            println!("{} {i} {mix}: {error:.1e} ({at})", shape.name);
            assert!(error < 1e-4, "{i} {mix}: {error:e} at {at}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn what_does_not_fit_is_said_before_anything_is_allocated() {
    let (gguf, graph) = demo();
    let options = CudaOptions { memory: Some(1 << 20), ..CudaOptions::default() };
    let error = CudaEngine::new(&gguf, graph.clone(), &options, &mut |_, _| {}).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, EngineError::Cuda(CudaError::OutOfMemory { .. })), "{text}");
    assert!(text.contains("1.00 MiB") && text.contains("fit"), "{text}");
    let options = CudaOptions { device: 99, ..CudaOptions::default() };
    let error = CudaEngine::new(&gguf, graph, &options, &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("no CUDA device 99"), "{error}");
}

/// On a machine without a GPU the error says what is missing; on one with, there is none.
#[test]
fn without_a_gpu_the_error_says_what_is_missing() {
    let (gguf, graph) = demo();
    match CudaEngine::new(&gguf, graph, &CudaOptions::default(), &mut |_, _| {}) {
        Ok(engine) => assert_eq!(engine.header().backend, "CUDA"),
        Err(EngineError::Cuda(error)) => {
            let text = error.to_string();
            let says = ["libcuda", "no CUDA device", "libnvrtc", "driver does not start"];
            assert!(says.iter().any(|s| text.contains(s)), "{text}");
        }
        Err(error) => panic!("{error}"),
    }
}
