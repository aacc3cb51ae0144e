//! Layers over several devices.

use paritty::engine::cuda::device;
use paritty::engine::cuda::{CudaEngine, CudaOptions, Memory};
use paritty::engine::{Engine, NoTap};
use paritty::model::{CaptureSet, Checkpoint, Site};

use super::support::{Collect, TOKENS, bits, cuda, demo, open, root, run};

/// Whether there are two devices; says so where there are not.
fn two() -> bool {
    let found = device::count().unwrap_or(0);
    if found < 2 {
        println!("skipped: {found} device");
    }
    found >= 2
}

fn split(
    gguf: &std::sync::Arc<paritty::gguf::Gguf>,
    graph: &paritty::model::Graph,
    shares: &str,
) -> CudaEngine {
    let options = CudaOptions { split: Some(shares.parse().unwrap()), batch: 5, ..CudaOptions::default() };
    CudaEngine::new(gguf, graph.clone(), &options, &mut |_, _| {}).unwrap()
}

#[test]
#[ignore = "needs two CUDA GPUs: cargo test --test cuda -- --ignored"]
fn layers_on_two_devices_have_the_bits_of_one() {
    if !two() {
        return;
    }
    for name in
        ["shakespeare-q4_k_m", "shakespeare-gpt2-f32", "shakespeare-phi3-q4_k_m", "shakespeare-qwen2-f16"]
    {
        let (gguf, graph) = open(&root().join(format!("assets/models/{name}.gguf")));
        let (one, logits) = run(&mut cuda(&gguf, &graph, false), &TOKENS, CaptureSet::All);
        for shares in ["1,1", "1,5", "0,1"] {
            let mut engine = split(&gguf, &graph, shares);
            let devices: Vec<usize> = engine.devices().map(|(device, _)| device).collect();
            assert_eq!(devices, if shares == "0,1" { vec![1] } else { vec![0, 1] }, "{name} {shares}");
            for set in [CaptureSet::All, CaptureSet::Layers] {
                engine.rewind(0).unwrap();
                let (some, again) = run(&mut engine, &TOKENS, set.clone());
                for (cell, values) in &some {
                    assert_eq!(bits(values), bits(&one[cell]), "{name} {shares} {set} {cell:?}");
                }
                for (a, b) in again.iter().zip(&logits) {
                    assert_eq!(bits(a), bits(b), "{name} {shares} {set}");
                }
            }
            // Batches, delayed taps, grafts and single nodes.
            engine.set_capture(CaptureSet::All);
            engine.rewind(0).unwrap();
            let mut tap = Collect::default();
            engine.batch(&TOKENS[..5], &mut tap).unwrap();
            engine.step_ahead(TOKENS[5], &mut tap).unwrap();
            engine.step_ahead(TOKENS[6], &mut tap).unwrap();
            engine.flush(&mut tap).unwrap();
            assert_eq!(tap.tensors.len(), one.len());
            for (cell, values) in &tap.tensors {
                assert_eq!(bits(values), bits(&one[cell]), "{name} {shares} {cell:?}");
            }
            let last = graph.n_layer - 1;
            for checkpoint in [Checkpoint::layer(Site::LOut, 0), Checkpoint::layer(Site::LOut, last)] {
                engine.rewind(3).unwrap();
                engine.graft(checkpoint, one[&(3, checkpoint)].clone()).unwrap();
                assert_eq!(bits(engine.step(TOKENS[3], &mut NoTap).unwrap()), bits(&logits[3]));
            }
        }
    }
}

#[test]
#[ignore = "needs two CUDA GPUs: cargo test --test cuda -- --ignored"]
fn a_model_that_fits_no_device_alone_is_spread_over_two() {
    if !two() {
        return;
    }
    let (gguf, graph) = demo();
    let (_, logits) = run(&mut cuda(&gguf, &graph, false), &TOKENS, CaptureSet::Off);
    let open = |memory: u64| {
        let options = CudaOptions { memory: Some(Memory(memory)), positions: 16, ..CudaOptions::default() };
        CudaEngine::new(&gguf, graph.clone(), &options, &mut |_, _| {})
    };
    // Less and less, until it is spread, until it does not fit at all.
    let (mut memory, mut alone, mut spread) = (64_u64 << 20, 0, 0);
    while let Ok(mut engine) = open(memory) {
        match engine.devices().count() {
            1 => alone += 1,
            _ => spread += 1,
        }
        assert!(spread == 0 || engine.devices().count() > 1, "with less memory on fewer devices");
        let (_, again) = run(&mut engine, &TOKENS, CaptureSet::Off);
        assert_eq!(bits(&again[6]), bits(&logits[6]), "{memory}");
        memory = memory * 7 / 8;
    }
    assert!(alone > 0 && spread > 0, "{alone} alone, {spread} spread");
    let text = open(memory).err().unwrap().to_string();
    assert!(text.contains("needs") && text.contains("devices"), "{text}");
}
