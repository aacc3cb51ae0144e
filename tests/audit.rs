//! The audit on recorded llama.cpp runs and on runs of our own engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::audit::{Audit, Conclusion, Options, audit};
use paritty::gguf::Gguf;
use paritty::model::arch;
use paritty::trace::Store;

const MODELS: [&str; 7] = [
    "shakespeare-q4_k_m",
    "shakespeare-f16",
    "shakespeare-llama3-q4_k_m",
    "shakespeare-qwen2-q4_k_m",
    "shakespeare-qwen2-f16",
    "shakespeare-phi3-q4_k_m",
    "shakespeare-gpt2-f32",
];

fn asset(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(kind).join(name)
}

fn audited(model: &str, trace: &Path, options: &Options) -> Audit {
    let gguf = Arc::new(Gguf::open(&asset("models", &format!("{model}.gguf"))).expect("the model"));
    let graph = arch::graph(&gguf).expect("a graph");
    let store = Store::load(trace).expect("the trace");
    audit(&gguf, &graph, &store, options, &mut |_, _| {}).expect("an audit")
}

fn some(positions: &[u32]) -> Options {
    Options { positions: Some(positions.iter().copied().collect()), ..Options::default() }
}

#[test]
fn recorded_llama_cpp_is_clean_and_its_arithmetic_is_named() {
    for model in MODELS {
        let found = audited(model, &asset("traces", &format!("{model}.jsonl")), &some(&[0, 1, 2, 9, 14, 15]));
        assert_eq!(found.conclusion(), Conclusion::Clean, "{model}: {:?}", found.faulty);
        assert_eq!(found.coverage.recorded, found.coverage.nodes, "{model}");
        assert_eq!((found.coverage.bridged, found.coverage.not_judged()), (0, 0), "{model}");
        assert!(found.kinds.iter().all(|k| k.otherwise.is_empty()), "{model}");
        let arithmetic = |start: &str| {
            let kind = found.kinds.iter().find(|k| k.kind.to_string().starts_with(start));
            kind.unwrap_or_else(|| panic!("{model} has no {start}")).arithmetic
        };
        let projection = match model {
            m if m.ends_with("q4_k_m") => "Q8_K activations, as llama.cpp on the CPU",
            m if m.ends_with("f16") => "f16 operands",
            _ => "f32 or better",
        };
        assert_eq!(arithmetic("projection"), projection, "{model}");
        assert_eq!(arithmetic("attention scores"), "f16 operands", "{model}");
        // NUMERICS: products within 8.9e-7 of their own arithmetic.
        assert!(found.kinds.iter().all(|k| k.worst < 1e-6), "{model}: {:?}", found.kinds);
    }
}
