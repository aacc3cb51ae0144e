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
    audited_with(&asset("models", &format!("{model}.gguf")), trace, options)
}

fn audited_with(model: &Path, trace: &Path, options: &Options) -> Audit {
    let gguf = Arc::new(Gguf::open(model).expect("the model"));
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

/// Records a run of our engine over a demo model.
fn recorded(model: &str, folder: &Path, arguments: &[&str]) -> PathBuf {
    let trace = folder.join("run.jsonl");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_paritty"))
        .arg("trace")
        .arg(asset("models", &format!("{model}.gguf")))
        .args([
            "--engine",
            "cpu",
            "--prompt",
            "What light through yonder window breaks",
            "--ignore-eos",
            "-n",
            "4",
        ])
        .args(arguments)
        .arg("-o")
        .arg(&trace)
        .output()
        .expect("paritty runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    trace
}

/// The first diagnosis of each faulty node.
fn mistakes(found: &Audit) -> Vec<(String, String)> {
    let first =
        |f: &paritty::audit::FaultyNode| f.diagnoses.first().map_or("unknown", |d| &*d.mistake).to_owned();
    found.faulty.iter().map(|f| (f.checkpoint.to_string(), first(f))).collect()
}

#[test]
fn every_kind_of_mistake_is_found_where_it_was_made_and_called_by_its_name() {
    let llama = "shakespeare-llama3-q4_k_m";
    let cases: [(&str, &str, &[&str]); 20] = [
        (llama, "rope-pairing", &["Qcur_rope-1", "Kcur_rope-1"]),
        (llama, "rope-base", &["Qcur_rope-1", "Kcur_rope-1"]),
        (llama, "rope-factors", &["Qcur_rope-1", "Kcur_rope-1"]),
        (llama, "query-position", &["Qcur_rope-1"]),
        (llama, "norm-epsilon", &["attn_norm-1", "ffn_norm-1"]),
        (llama, "norm-weight-bf16", &["attn_norm-1", "ffn_norm-1"]),
        (llama, "norm-offset", &["attn_norm-1", "ffn_norm-1"]),
        (llama, "kv-off-by-one", &["kq-1", "kqv_out-1"]),
        (llama, "kv-decode", &["kq-1", "kqv_out-1"]),
        (llama, "gqa-tile", &["kq-1", "kqv_out-1"]),
        (llama, "attention-scale", &["kq_soft_max-1"]),
        (llama, "scale-twice", &["kq_soft_max-1"]),
        (llama, "mask-shifted", &["kq_soft_max-1"]),
        (llama, "transposed", &["attn_out-1"]),
        (llama, "other-tensor", &["ffn_gate-1"]),
        (llama, "residual-missing", &["l_out-1"]),
        (llama, "ffn-activation", &["ffn_swiglu-1"]),
        (llama, "stale-input", &["ffn_out-1"]),
        ("shakespeare-gpt2-f32", "gelu-erf", &["ffn_gelu-1"]),
        ("shakespeare-qwen2-f16", "qkv-bias", &["Qcur-1", "Vcur-1", "Kcur-1"]),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (model, fault, nodes) in cases {
        let trace = recorded(model, folder.path(), &["--fault", &format!("{fault}@1")]);
        let found = audited(model, &trace, &Options::default());
        let expected: Vec<(String, String)> =
            nodes.iter().map(|n| ((*n).to_owned(), fault.to_owned())).collect();
        assert_eq!(mistakes(&found), expected, "{fault}: {:?}", found.faulty);
    }
}

#[test]
fn what_was_not_recorded_is_bridged_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = "shakespeare-llama3-q4_k_m";
    let trace = recorded(model, folder.path(), &["--checkpoints", "layers"]);
    let found = audited(model, &trace, &Options::default());
    assert_eq!(found.conclusion(), Conclusion::Clean, "{:?}", found.faulty);
    // embd, result_norm and the logits have their inputs; the three layers are bridged.
    let positions = found.coverage.positions;
    assert_eq!((found.coverage.direct, found.coverage.bridged), (3 * positions, 3 * positions));

    let trace = recorded(model, folder.path(), &["--checkpoints", "layers", "--fault", "rope-pairing@1"]);
    let found = audited(model, &trace, &Options::default());
    let nodes: Vec<String> = found.faulty.iter().map(|f| f.checkpoint.to_string()).collect();
    assert_eq!(nodes, ["l_out-1"], "{:?}", found.faulty);
    assert!(!found.faulty[0].positions.contains(&0), "position 0 is not turned");
}

/// The F16 model with 0.5 added to one weight of tensor `name`.
fn doctored(folder: &Path, name: &str, (row, column): (usize, usize)) -> PathBuf {
    let original = asset("models", "shakespeare-f16.gguf");
    let gguf = Gguf::open(&original).expect("the model");
    let info = gguf.tensor(name).expect("a tensor");
    let start = gguf.data(info).as_ptr() as usize - gguf.data(&gguf.tensors()[0]).as_ptr() as usize;
    let first = gguf.tensors()[0].offset as usize;
    let mut bytes = std::fs::read(&original).expect("the file");
    // The data section ends where the file does.
    let data =
        bytes.len() - gguf.tensors().iter().map(|t| (t.offset + t.bytes) as usize).max().expect("tensors");
    let at = data + first + start + (row * info.row_len() + column) * 2;
    let old = half::f16::from_le_bytes([bytes[at], bytes[at + 1]]);
    bytes[at..at + 2].copy_from_slice(&half::f16::from_f32(old.to_f32() + 0.5).to_le_bytes());
    let doctored = folder.join("doctored.gguf");
    std::fs::write(&doctored, bytes).expect("a file");
    doctored
}

#[test]
fn a_single_wrong_weight_is_located() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "blk.2.ffn_up.weight";
    let doctored = doctored(folder.path(), name, (11, 5));
    let found = audited_with(&doctored, &asset("traces", "shakespeare-f16.jsonl"), &Options::default());
    assert_eq!(mistakes(&found), [("ffn_up-2".to_owned(), "weights-differ".to_owned())]);
    let says = &found.faulty[0].diagnoses[0].says;
    assert!(says.contains(&format!("{name} differs from the file: row 11, column 5")), "{says}");
}

/// Parts of runs of llama.cpp on an H200, in which each kernel that rounds in a way of its own has a share.
const ON_CUDA: [(&str, &str, &str, &str); 6] = [
    ("f16-single", "shakespeare-f16", "projection, F16", "f16 products and lane sums, as llama.cpp on CUDA"),
    ("f16-single", "shakespeare-f16", "attention mix", "f16 products and lane sums, as llama.cpp on CUDA"),
    ("f16-batch", "shakespeare-f16", "projection, F16", "f16 sums of 16 products each, as cuBLAS"),
    ("f16-batch", "shakespeare-f16", "attention mix", "f16 sums of 16 products each, as cuBLAS"),
    (
        "gpt2-f32-batch",
        "shakespeare-gpt2-f32",
        "activation",
        "GELU by the GPU's approximate tanh, as llama.cpp on CUDA",
    ),
    (
        "q4_k_m-batch",
        "shakespeare-q4_k_m",
        "projection, Q4_K",
        "Q8_1 activations, unrounded sums, as llama.cpp on CUDA",
    ),
];

#[test]
fn what_llama_cpp_does_on_cuda_is_explained() {
    for (trace, model, kind, arithmetic) in ON_CUDA {
        let found = audited(model, &asset("traces/cuda", &format!("{trace}.jsonl")), &Options::default());
        assert_eq!(found.conclusion(), Conclusion::Clean, "{trace}: {:?}", found.faulty);
        let kind = found.kinds.iter().find(|k| k.kind.to_string().starts_with(kind));
        let kind = kind.unwrap_or_else(|| panic!("{trace} has none of {kind:?}"));
        assert_eq!(kind.arithmetic, arithmetic, "{trace}");
        // In two of the four rows of Q4_K a value, in one a block's sum lies in the middle between two steps.
        assert!(kind.ties > 0 || !trace.starts_with("q4_k_m"), "{kind:?}");
    }
}

#[test]
fn a_wrong_weight_shows_on_cuda_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let doctored = doctored(folder.path(), "blk.0.ffn_up.weight", (11, 5));
    for trace in ["f16-single", "f16-batch"] {
        let found =
            audited_with(&doctored, &asset("traces/cuda", &format!("{trace}.jsonl")), &Options::default());
        assert_eq!(mistakes(&found), [("ffn_up-0".to_owned(), "weights-differ".to_owned())], "{trace}");
    }
}

#[test]
fn padding_and_missing_tokens_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, floats) = ("shakespeare-f16", 2048_usize);
    let original = std::fs::read_to_string(asset("traces", &format!("{model}.jsonl"))).expect("the trace");
    let mut sidecar = std::fs::read(asset("traces", &format!("{model}.bin"))).expect("the sidecar");
    let mut lines = String::new();
    for line in original.lines() {
        let mut record: serde_json::Value = serde_json::from_str(line).expect("a record");
        if record.get("token").is_some() {
            continue;
        }
        if record["checkpoint"] == "result_output" {
            let offset = record["offset"].as_u64().expect("an offset") as usize;
            let padded = [&sidecar[offset..offset + floats * 4], &[0; 64 * 4]].concat();
            record["offset"] = sidecar.len().into();
            record["bytes"] = padded.len().into();
            record["shape"] = serde_json::json!([floats + 64]);
            sidecar.extend(padded);
        }
        lines.extend([record.to_string().as_str(), "\n"]);
    }
    let trace = folder.path().join("run.jsonl");
    std::fs::write(&trace, lines).expect("a file");
    std::fs::write(folder.path().join(format!("{model}.bin")), sidecar).expect("a file");
    let found = audited(model, &trace, &some(&[0, 1, 2]));
    assert_eq!(found.conclusion(), Conclusion::Clean, "{:?}", found.faulty);
    assert_eq!(found.coverage.padded, Some((floats + 64, floats)));
    assert_eq!((found.coverage.inferred, found.coverage.not_judged()), (found.coverage.positions, 0));
}

#[test]
fn without_tokens_and_inputs_nothing_is_concluded() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("logits.jsonl");
    std::fs::write(
        &trace,
        "{\"checkpoint\":\"result_output\",\"token_idx\":0,\"shape\":[2048],\"values\":[0.5,1.5]}\n",
    )
    .expect("a file");
    let found = audited("shakespeare-f16", &trace, &Options::default());
    assert_eq!(found.conclusion(), Conclusion::NotEnough);
    assert_eq!(found.coverage.not_judged(), 1);
    assert!(found.coverage.unjudged.keys().any(|reason| reason.contains("which token")));
}
