//! What the device reduces against what the values say.

use std::collections::HashMap;

use paritty::engine::cuda::{CudaEngine, CudaOptions};
use paritty::engine::statistics::Statistics;
use paritty::engine::{Engine, EngineError, Tap};
use paritty::model::{CaptureSet, Checkpoint};

use super::support::{TOKENS, bits, cuda, open, root, run};

#[derive(Default)]
struct Reduced {
    position: usize,
    found: HashMap<(usize, Checkpoint), Statistics>,
}

impl Tap for Reduced {
    fn position(&mut self, position: usize) {
        self.position = position;
    }

    fn tensor(&mut self, checkpoint: Checkpoint, _: &str, _: &[u32], _: &[f32]) -> Result<(), EngineError> {
        panic!("{checkpoint}: values where statistics were asked for");
    }

    fn statistics(
        &mut self,
        checkpoint: Checkpoint,
        _: &str,
        _: &[u32],
        statistics: &Statistics,
    ) -> Result<(), EngineError> {
        assert!(self.found.insert((self.position, checkpoint), *statistics).is_none());
        Ok(())
    }
}

fn check(found: &HashMap<(usize, Checkpoint), Statistics>, values: &HashMap<(usize, Checkpoint), Vec<f32>>) {
    assert_eq!(found.len(), values.len());
    for (cell, ours) in found {
        let theirs = Statistics::of(&values[cell]);
        let counted = (ours.min, ours.max, ours.non_finite) == (theirs.min, theirs.max, theirs.non_finite);
        // Sums in f64, in another order.
        let near = (ours.rms - theirs.rms).abs() <= 1e-13 * theirs.rms * values[cell].len() as f64;
        assert!(counted && near, "{cell:?}: {ours:?} here, {theirs:?} of the values");
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn statistics_are_those_of_the_values_and_change_no_bit() {
    for name in ["shakespeare-q4_k_m", "shakespeare-gpt2-f32"] {
        let (gguf, graph) = open(&root().join(format!("assets/models/{name}.gguf")));
        for set in [CaptureSet::All, CaptureSet::Layers, CaptureSet::Logits] {
            let (values, logits) = run(&mut cuda(&gguf, &graph, false), &TOKENS, set.clone());
            let options = CudaOptions { batch: 4, ..CudaOptions::default() };
            let mut engine = CudaEngine::new(&gguf, graph.clone(), &options, &mut |_, _| {}).unwrap();
            engine.set_capture(set.clone());
            assert!(engine.reduce(true));
            for together in [1, 4] {
                engine.rewind(0).unwrap();
                let mut tap = Reduced::default();
                for (i, tokens) in TOKENS.chunks(together).enumerate() {
                    let last = engine.batch(tokens, &mut tap).unwrap();
                    assert_eq!(bits(last), bits(&logits[i * together + tokens.len() - 1]), "{name} {set}");
                }
                check(&tap.found, &values);
            }
            // Late, after a graft, and values again.
            engine.rewind(0).unwrap();
            let mut tap = Reduced::default();
            for &token in &TOKENS[..3] {
                engine.step_ahead(token, &mut tap).unwrap();
            }
            engine.flush(&mut tap).unwrap();
            if let Some(own) = values.get(&(3, Checkpoint::LOGITS)) {
                engine.graft(Checkpoint::LOGITS, own.clone()).unwrap();
            }
            for &token in &TOKENS[3..] {
                engine.step(token, &mut tap).unwrap();
            }
            check(&tap.found, &values);
            engine.reduce(false);
            engine.rewind(0).unwrap();
            let (again, _) = run(&mut engine, &TOKENS, set);
            for (cell, values) in &values {
                assert_eq!(bits(&again[cell]), bits(values), "{cell:?}");
            }
        }
    }
}
