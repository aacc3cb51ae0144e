//! Values from outside, and faults.

use paritty::engine::cpu::Oracle;
use paritty::engine::cuda::{CudaEngine, CudaOptions};
use paritty::engine::{Engine, NoTap};
use paritty::fault::{FAULTS, Injection};
use paritty::model::{CaptureSet, Checkpoint, Site};
use paritty::synth::mix::Mix;

use super::support::{Collect, TOKENS, bits, cpu, cuda, demo, open, relative, root, run, synthetic, worst};

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
