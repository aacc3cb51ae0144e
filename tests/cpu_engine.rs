//! The CPU engine and the oracle on the demo model, a real file with trained weights.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use paritty::engine::cpu::{CpuOptions, F32Engine, Oracle};
use paritty::engine::{Engine, EngineError, NoTap, Tap};
use paritty::gguf::Gguf;
use paritty::model::{CaptureSet, Checkpoint, Graph, Site, arch};

/// Arbitrary ids of the vocabulary, with a repeat.
const TOKENS: [u32; 7] = [1, 443, 1200, 77, 1200, 2000, 13];

fn demo() -> (Arc<Gguf>, Graph) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf");
    let gguf = Arc::new(Gguf::open(&path).unwrap());
    let graph = arch::graph(&gguf).unwrap();
    (gguf, graph)
}

#[derive(Default)]
struct Collect(HashMap<Checkpoint, Vec<f32>>);

impl Tap for Collect {
    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        _: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        assert_eq!(shape.iter().product::<u32>() as usize, values.len(), "{checkpoint}");
        assert!(self.0.insert(checkpoint, values.to_vec()).is_none(), "{checkpoint} twice");
        Ok(())
    }
}

/// Everything captured, by position.
fn run(engine: &mut dyn Engine, tokens: &[u32]) -> Vec<HashMap<Checkpoint, Vec<f32>>> {
    engine.set_capture(CaptureSet::All);
    let mut positions = Vec::new();
    for token in tokens {
        let mut tap = Collect::default();
        let logits = engine.step(*token, &mut tap).unwrap().to_vec();
        assert_eq!(bits(&tap.0[&Checkpoint::LOGITS]), bits(&logits));
        positions.push(tap.0);
    }
    positions
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// ‖a − b‖ / ‖b‖.
fn relative(a: &[f32], b: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let diff: f64 = a.iter().zip(b).map(|(&a, &b)| square(a as f64 - b as f64)).sum();
    (diff / b.iter().map(|&b| square(b as f64)).sum::<f64>()).sqrt()
}

#[test]
fn the_engine_is_as_near_to_the_oracle_as_f32_allows() {
    let (gguf, graph) = demo();
    let engine = run(&mut F32Engine::new(&gguf, graph.clone(), CpuOptions::default()).unwrap(), &TOKENS);
    let oracle = run(&mut Oracle::new(&gguf, graph.clone(), CpuOptions::default()).unwrap(), &TOKENS);
    for (position, (engine, oracle)) in engine.iter().zip(&oracle).enumerate() {
        assert_eq!(engine.len(), graph.checkpoints().count());
        for (checkpoint, values) in engine {
            let error = relative(values, &oracle[checkpoint]);
            // One rounding to f32 is 6e-8; some hundred operations in a row, seen: at most 1e-6.
            assert!(error < 5e-6, "{checkpoint} at {position}: {error:e}");
        }
    }
}

#[test]
fn rewinding_and_going_on_gives_the_same_bits() {
    let (gguf, graph) = demo();
    let mut engine = F32Engine::new(&gguf, graph, CpuOptions { threads: 2, kv_f16: true }).unwrap();
    let first = run(&mut engine, &TOKENS);
    engine.rewind(2).unwrap();
    assert_eq!(engine.position(), 2);
    run(&mut engine, &[9, 10, 11]);
    engine.rewind(2).unwrap();
    let again = run(&mut engine, &TOKENS[2..]);
    for (a, b) in first[2..].iter().zip(&again) {
        for (checkpoint, values) in a {
            assert_eq!(bits(values), bits(&b[checkpoint]), "{checkpoint}");
        }
    }
    assert!(engine.rewind(99).is_err());
}

#[test]
fn taps_do_not_change_the_logits() {
    let (gguf, graph) = demo();
    let tapped = run(&mut F32Engine::new(&gguf, graph.clone(), CpuOptions::default()).unwrap(), &TOKENS);
    let mut engine = F32Engine::new(&gguf, graph, CpuOptions { threads: 1, kv_f16: false }).unwrap();
    for (position, token) in TOKENS.iter().enumerate() {
        let logits = engine.step(*token, &mut NoTap).unwrap();
        assert_eq!(bits(logits), bits(&tapped[position][&Checkpoint::LOGITS]));
    }
}

#[test]
fn every_node_alone_gives_what_it_gave_in_the_run() {
    let (gguf, graph) = demo();
    let mut engine = F32Engine::new(&gguf, graph.clone(), CpuOptions::default()).unwrap();
    let positions = run(&mut engine, &TOKENS);
    for node in &graph.nodes {
        let checkpoint = node.checkpoint.unwrap();
        for position in [0, 3, TOKENS.len() - 1] {
            let inputs: Vec<Vec<f32>> = node
                .inputs
                .iter()
                .enumerate()
                .map(|(i, id)| {
                    let name = graph.node(*id).checkpoint.unwrap();
                    if node.op.history_input() == Some(i) {
                        (0..=position).flat_map(|p| positions[p][&name].clone()).collect()
                    } else {
                        positions[position][&name].clone()
                    }
                })
                .collect();
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let alone = engine.eval(checkpoint, position, TOKENS[position], &inputs).unwrap();
            assert_eq!(
                bits(&alone.values),
                bits(&positions[position][&checkpoint]),
                "{checkpoint} at {position}"
            );
        }
    }
    let error = engine.eval("Qcur-0".parse().unwrap(), 0, 1, &[&[0.0; 3]]).unwrap_err();
    assert!(error.to_string().contains("expected 256"), "{error}");
}

#[test]
fn a_graft_replaces_a_checkpoint_for_one_step() {
    let (gguf, graph) = demo();
    let mut engine = F32Engine::new(&gguf, graph, CpuOptions::default()).unwrap();
    let clean = run(&mut engine, &TOKENS);
    let at: Checkpoint = "l_out-2".parse().unwrap();

    engine.rewind(0).unwrap();
    engine.graft(at, clean[0][&at].clone()).unwrap();
    let own = run(&mut engine, &TOKENS[..1]);
    assert_eq!(bits(&own[0][&Checkpoint::LOGITS]), bits(&clean[0][&Checkpoint::LOGITS]));

    engine.rewind(0).unwrap();
    engine.graft(at, vec![0.5; 256]).unwrap();
    let other = run(&mut engine, &TOKENS[..1]);
    assert_eq!(other[0][&at], vec![0.5; 256]);
    let before = Checkpoint::layer(Site::FfnOut, 2);
    assert_eq!(bits(&other[0][&before]), bits(&clean[0][&before]));
    assert!(relative(&other[0][&Checkpoint::LOGITS], &clean[0][&Checkpoint::LOGITS]) > 0.1);

    engine.rewind(0).unwrap();
    let after = run(&mut engine, &TOKENS[..1]);
    assert_eq!(bits(&after[0][&Checkpoint::LOGITS]), bits(&clean[0][&Checkpoint::LOGITS]));

    engine.graft(at, vec![0.0; 3]).unwrap();
    assert!(engine.step(1, &mut NoTap).is_err());
    // The failed step has left nothing behind.
    let next = run(&mut engine, &TOKENS[1..]);
    assert_eq!(bits(&next[5][&Checkpoint::LOGITS]), bits(&clean[6][&Checkpoint::LOGITS]));
}

#[test]
fn nonsense_is_refused() {
    let (gguf, graph) = demo();
    let mut engine = F32Engine::new(&gguf, graph, CpuOptions::default()).unwrap();
    let error = engine.step(99_999, &mut NoTap).unwrap_err();
    assert!(error.to_string().contains("vocabulary of 2048"), "{error}");
    assert!(engine.graft("kq-99".parse().unwrap(), vec![]).is_err());
}
