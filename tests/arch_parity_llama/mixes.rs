//! The types that `paritty synth` gives each tensor are those that llama.cpp's quantiser chooses.

use std::collections::BTreeMap;
use std::path::Path;

use paritty::gguf::{Gguf, WeightType};
use paritty::llama_cpp::quantize::quantize;
use paritty::synth::mix::MIXES;
use paritty::synth::shape::Shape;

use super::make;

fn types(path: &Path) -> BTreeMap<String, WeightType> {
    let gguf = Gguf::open(path).unwrap();
    gguf.tensors().iter().map(|t| (t.name.clone(), t.weight_type)).collect()
}

#[test]
fn every_mix_is_llama_cpps() {
    let folder = tempfile::tempdir().unwrap();
    let narrow = |name| Shape {
        n_embd: 256,
        n_head: 4,
        head_dim: 64,
        n_rot: 0,
        n_ff: 256,
        ..Shape::named(name).unwrap()
    };
    let shapes = [
        // Many layers, so that rules by depth show, and four heads to a key.
        Shape { n_layer: 17, n_head_kv: 1, ..narrow("tiny-llama") },
        // Tied, and two heads to a key; fused; rows that fall back.
        Shape { n_layer: 2, ..narrow("tiny-qwen2") },
        Shape { n_layer: 2, ..narrow("tiny-phi3") },
        Shape { n_layer: 2, ..Shape::named("tiny-llama").unwrap() },
        Shape { n_layer: 2, n_embd: 96, n_head: 3, n_head_kv: 3, head_dim: 32, ..narrow("tiny-gpt2") },
    ];
    for shape in shapes {
        let wide = make(folder.path(), &shape, "F32");
        for mix in MIXES.iter().filter(|m| m.name != "MXFP4") {
            let theirs = folder.path().join("theirs.gguf");
            quantize(&wide, &theirs, mix.name, false, 1).unwrap();
            assert_eq!(
                types(&make(folder.path(), &shape, mix.name)),
                types(&theirs),
                "{} {}",
                shape.name,
                mix.name
            );
        }
    }
}
