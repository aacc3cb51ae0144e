//! The recorded traces in `assets/traces` are whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use paritty::gguf::Gguf;
use paritty::model::arch;
use paritty::trace::{Notes, Store, Tensor};

#[test]
fn recorded_traces_have_every_checkpoint_and_nothing_odd() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for (name, positions) in [("shakespeare-q4_k_m", 40), ("shakespeare-f16", 16)] {
        let store = Store::load(&assets.join(format!("traces/{name}.jsonl"))).unwrap();
        let gguf = Gguf::open(&assets.join(format!("models/{name}.gguf"))).unwrap();
        let graph = arch::graph(&gguf).unwrap();
        assert_eq!(store.notes(), &Notes::default(), "{name}");
        assert!(store.has_ended());
        assert!(store.positions().eq(0..positions));
        let mut tensor = Tensor::default();
        for position in store.positions() {
            assert!(store.token(position).is_some() && store.is_complete(position));
            assert_eq!(
                store.checkpoints(position).count(),
                graph.checkpoints().count(),
                "{name} at {position}"
            );
            for checkpoint in graph.checkpoints() {
                assert!(store.read(position, checkpoint, &mut tensor).unwrap(), "{checkpoint} at {position}");
                assert!(tensor.values.iter().all(|v| v.is_finite()));
            }
        }
    }
}
