//! Models and nodes against the oracle.

use std::collections::HashMap;

use paritty::engine::cpu::{F32Engine, Oracle};
use paritty::engine::cuda::{CudaEngine, CudaOptions};
use paritty::engine::{Engine, NoTap};
use paritty::gguf::{Gguf, WeightType, Writer};
use paritty::model::{CaptureSet, Checkpoint, Op, Site};
use paritty::synth::Synth;
use paritty::synth::mix::{MIXES, Mix};
use paritty::synth::shape::Shape;

use super::support::{Collect, TOKENS, cpu, cuda, models, open, relative, root, run, synthetic, worst};
use super::weight_blocks;

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

/// Widths that are no multiples of what the fast kernels take, and wide heads.
fn odd_shapes() -> [Shape; 4] {
    let tiny = |name| Shape::named(name).unwrap();
    [
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
    ]
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn odd_widths_and_long_contexts_are_computed_too() {
    let folder = tempfile::tempdir().unwrap();
    let vocab = Gguf::open(&root().join("assets/models/shakespeare-f16.gguf")).unwrap();
    for (i, shape) in odd_shapes().iter().enumerate() {
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

/// Short, for the sanitiser: each kernel at least once, every value compared.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn each_kernel_runs_and_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let mut models: Vec<_> = MIXES.iter().map(|mix| synthetic(folder.path(), "tiny-llama", mix)).collect();
    let mix = |name| Mix::named(name).unwrap();
    for shape in ["tiny-qwen2", "tiny-qwen3", "tiny-gemma2", "tiny-gemma3", "tiny-phi3", "tiny-gpt2"] {
        models.push(synthetic(folder.path(), shape, mix("Q4_K_M")));
    }
    let vocab = Gguf::open(&root().join("assets/models/shakespeare-f16.gguf")).unwrap();
    for (i, shape) in odd_shapes().iter().enumerate() {
        if let Ok(synth) = Synth::new(shape, mix("F16"), &vocab, 9) {
            let path = folder.path().join(format!("odd-{i}.gguf"));
            synth.save(&path, |_| {}).unwrap();
            models.push(path);
        }
    }
    for (i, path) in models.iter().enumerate() {
        let (gguf, graph) = open(path);
        let kv_f16 = i % 2 == 1;
        let oracle = Oracle::new(&gguf, graph.clone(), cpu(kv_f16));
        let (exact, _) = run(&mut oracle.unwrap(), &TOKENS[..5], CaptureSet::All);
        let options = CudaOptions { batch: 3, kv_f16, ..CudaOptions::default() };
        let mut device = CudaEngine::new(&gguf, graph.clone(), &options, &mut |_, _| {}).unwrap();
        device.set_capture(CaptureSet::All);
        let mut tap = Collect::default();
        device.batch(&TOKENS[..3], &mut tap).unwrap();
        device.step(TOKENS[3], &mut tap).unwrap();
        // Attention in parts.
        let scores = graph.nodes.iter().find(|node| matches!(node.op, Op::Scores(_)));
        if let Some(checkpoint) = scores.and_then(|node| node.checkpoint) {
            device.graft(checkpoint, exact[&(4, checkpoint)].clone()).unwrap();
        }
        device.step(TOKENS[4], &mut tap).unwrap();
        let (error, at) = worst(&tap.tensors, &exact);
        let name = path.file_stem().unwrap().display();
        // As in the test of every model; a cache of f16 rounds other f32 to other halves: 2^-11, amplified.
        let limit = if kv_f16 { 2e-2 } else { 1e-4 };
        assert!(error < limit, "{name}: {error:e} at {at}");
        assert!(device.reduce(true));
        device.step(TOKENS[5], &mut NoTap).unwrap();
    }
}
