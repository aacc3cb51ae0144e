//! The recorded traces in `assets/traces` are whole, and belong to the models beside them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use paritty::gguf::Gguf;
use paritty::model::arch;
use paritty::trace::{Notes, Store, Tensor};

#[test]
fn recorded_traces_have_every_checkpoint_and_nothing_odd() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let mut traces = 0;
    for entry in std::fs::read_dir(assets.join("traces")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        traces += 1;
        let name = path.file_stem().unwrap().to_str().unwrap();
        let store = Store::load(&path).unwrap();
        let gguf = Gguf::open(&assets.join("models").join(format!("{name}.gguf"))).unwrap();
        let graph = arch::graph(&gguf).unwrap();
        assert_eq!(store.notes(), &Notes::default(), "{name}");
        let header = store.header().unwrap();
        assert_eq!(header.model.size, gguf.file_size(), "{name}: the model was changed after it was traced");
        assert!(store.has_ended());
        assert!(store.positions().eq(0..header.n_total.unwrap()), "{name}");
        let mut tensor = Tensor::default();
        for position in store.positions() {
            assert!(store.token(position).is_some() && store.is_complete(position));
            let recorded = store.checkpoints(position).count();
            assert_eq!(recorded, graph.checkpoints().count(), "{name} at {position}");
            for checkpoint in graph.checkpoints() {
                let found = store.read(position, checkpoint, &mut tensor).unwrap();
                assert!(found, "{name}: {checkpoint} at {position}");
                assert!(tensor.values.iter().all(|v| v.is_finite()));
            }
        }
    }
    assert!(traces >= 2);
}
