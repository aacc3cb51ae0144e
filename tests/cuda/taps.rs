//! What is looked at changes nothing.

use paritty::engine::cuda::{CudaEngine, CudaOptions};
use paritty::engine::{Engine, NoTap};
use paritty::model::CaptureSet;

use super::support::{Collect, TOKENS, bits, cuda, demo, open, root, run};

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
