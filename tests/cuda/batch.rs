//! Batches against token by token.

use paritty::engine::cuda::{CudaEngine, CudaOptions};
use paritty::engine::{Engine, NoTap};
use paritty::fault::Injection;
use paritty::model::{CaptureSet, Op};
use paritty::synth::mix::MIXES;

use super::support::{Collect, bits, cuda, open, root, run, synthetic};

/// More than one launch takes at once, and no multiple of it; ids that every vocabulary here has.
const PROMPT: [u32; 13] = [1, 443, 1001, 77, 1001, 900, 13, 2, 600, 31, 443, 8, 1000];

fn batched(
    gguf: &std::sync::Arc<paritty::gguf::Gguf>,
    graph: &paritty::model::Graph,
    batch: usize,
    kv_f16: bool,
) -> CudaEngine {
    let options = CudaOptions { batch, kv_f16, ..CudaOptions::default() };
    CudaEngine::new(gguf, graph.clone(), &options, &mut |_, _| {}).unwrap()
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn a_batch_has_the_bits_of_token_by_token_at_every_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut models: Vec<_> = ["shakespeare-q4_k_m", "shakespeare-gpt2-f32", "shakespeare-phi3-q4_k_m"]
        .iter()
        .map(|name| root().join(format!("assets/models/{name}.gguf")))
        .collect();
    models.extend(MIXES.iter().map(|mix| synthetic(folder.path(), "tiny-llama", mix)));
    let mixed = MIXES.iter().find(|mix| mix.name == "Q4_K_M").unwrap();
    for shape in ["tiny-qwen2", "tiny-qwen3", "tiny-gemma2", "tiny-gemma3", "tiny-phi3", "tiny-gpt2"] {
        models.push(synthetic(folder.path(), shape, mixed));
    }
    for path in models {
        let name = path.file_stem().unwrap().display().to_string();
        let (gguf, graph) = open(&path);
        let caches: &[bool] = if name.starts_with("shakespeare") { &[false, true] } else { &[false] };
        for &kv_f16 in caches {
            let (single, logits) = run(&mut cuda(&gguf, &graph, kv_f16), &PROMPT, CaptureSet::All);
            let mut engine = batched(&gguf, &graph, PROMPT.len(), kv_f16);
            assert_eq!(engine.batch_size(), PROMPT.len());
            for sizes in [&[13][..], &[4, 1, 8]] {
                engine.rewind(0).unwrap();
                engine.set_capture(CaptureSet::All);
                let (mut tap, mut done) = (Collect::default(), 0);
                for &size in sizes {
                    let last = engine.batch(&PROMPT[done..done + size], &mut tap).unwrap();
                    done += size;
                    assert_eq!(bits(last), bits(&logits[done - 1]), "{name}: {sizes:?} up to {done}");
                }
                assert_eq!(engine.position(), PROMPT.len());
                assert_eq!(tap.tensors.len(), single.len());
                for (cell, values) in &tap.tensors {
                    assert_eq!(bits(values), bits(&single[cell]), "{name}: {sizes:?}, {cell:?}");
                }
            }
            // Steps go on from a batch, and taps do not matter to it.
            engine.rewind(0).unwrap();
            engine.set_capture(CaptureSet::Off);
            engine.batch(&PROMPT[..10], &mut NoTap).unwrap();
            let step = engine.step(PROMPT[10], &mut NoTap).unwrap();
            assert_eq!(bits(step), bits(&logits[10]), "{name}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn nobody_sees_a_later_position_of_his_batch() {
    let (gguf, graph) = super::support::demo();
    let mut engine = batched(&gguf, &graph, 8, false);
    let first = {
        let mut tap = Collect::default();
        engine.set_capture(CaptureSet::All);
        engine.batch(&PROMPT[..8], &mut tap).unwrap();
        tap.tensors
    };
    engine.rewind(0).unwrap();
    // The same beginning with another end.
    let mut other = PROMPT[..8].to_vec();
    other[5..].copy_from_slice(&[700, 701, 702]);
    let mut tap = Collect::default();
    engine.batch(&other, &mut tap).unwrap();
    let mut changed = 0;
    for (cell, values) in &tap.tensors {
        let same = bits(values) == bits(&first[cell]);
        assert!(same || cell.0 >= 5, "{cell:?} knows what comes");
        changed += usize::from(!same);
        if cell.0 < 8
            && graph.nodes.iter().any(|n| n.checkpoint == Some(cell.1) && matches!(n.op, Op::Scores(_)))
        {
            let heads = graph.attention().unwrap().n_head;
            assert_eq!(values.len(), heads * (cell.0 + 1), "a position sees itself and those before it");
        }
    }
    assert!(changed > 0);
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn values_that_are_not_finite_come_out_of_a_batch_as_of_single_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mixed = MIXES.iter().find(|mix| mix.name == "Q4_K_M").unwrap();
    let (gguf, mut graph) = open(&synthetic(folder.path(), "tiny-llama", mixed));
    // Scores that are infinite leave NaN in the rows that the output projection multiplies.
    for node in &mut graph.nodes {
        if let Op::Scores(a) | Op::SoftMax(a) | Op::Mix(a) = &mut node.op {
            a.scale = f32::INFINITY;
        }
    }
    let (single, _) = run(&mut cuda(&gguf, &graph, false), &PROMPT, CaptureSet::All);
    assert!(single.values().any(|values| values.iter().any(|v| v.is_nan())));
    let mut engine = batched(&gguf, &graph, PROMPT.len(), false);
    engine.set_capture(CaptureSet::All);
    let mut tap = Collect::default();
    engine.batch(&PROMPT, &mut tap).unwrap();
    for (cell, values) in &tap.tensors {
        assert_eq!(bits(values), bits(&single[cell]), "{cell:?}");
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn faults_of_positions_and_of_the_cache_are_the_same_in_a_batch() {
    let (gguf, graph) = super::support::demo();
    let mut tried = 0;
    for fault in paritty::fault::FAULTS {
        let mut wrong = graph.clone();
        let injection: Injection = fault.id().parse().unwrap();
        if injection.apply(&mut wrong).is_err() || wrong.departs().is_some() {
            continue;
        }
        tried += 1;
        let (single, _) = run(&mut cuda(&gguf, &wrong, false), &PROMPT, CaptureSet::All);
        let mut engine = batched(&gguf, &wrong, PROMPT.len(), false);
        engine.set_capture(CaptureSet::All);
        let mut tap = Collect::default();
        engine.batch(&PROMPT, &mut tap).unwrap();
        for (cell, values) in &tap.tensors {
            assert_eq!(bits(values), bits(&single[cell]), "{}: {cell:?}", fault.id());
        }
    }
    assert!(tried > 3);
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn what_makes_no_sense_as_a_batch_is_refused() {
    let (gguf, graph) = super::support::demo();
    let mut engine = batched(&gguf, &graph, 4, false);
    assert!(engine.batch(&[], &mut NoTap).is_err());
    assert!(engine.batch(&[1, 4_000_000], &mut NoTap).is_err());
    assert_eq!(engine.position(), 0);
    // Larger than it was opened for: in parts. And an engine without batches takes steps.
    engine.batch(&PROMPT, &mut NoTap).unwrap();
    assert_eq!(engine.position(), PROMPT.len());
    let mut single = cuda(&gguf, &graph, false);
    assert_eq!(single.batch_size(), 1);
    let last = single.batch(&PROMPT, &mut NoTap).unwrap().to_vec();
    engine.rewind(0).unwrap();
    assert_eq!(bits(engine.batch(&PROMPT, &mut NoTap).unwrap()), bits(&last));
}
