//! Models, runs and their comparison.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paritty::engine::cpu::CpuOptions;
use paritty::engine::cuda::{CudaEngine, CudaOptions};
use paritty::engine::{Engine, EngineError, Tap};
use paritty::gguf::Gguf;
use paritty::model::{CaptureSet, Checkpoint, Graph, arch};
use paritty::synth::Synth;
use paritty::synth::mix::{MIXES, Mix};
use paritty::synth::shape::{SHAPES, Shape};

/// Arbitrary ids that every vocabulary here has (the smallest has 1,024), with a repeat.
pub const TOKENS: [u32; 7] = [1, 443, 1001, 77, 1001, 900, 13];

/// Where the repository is when the test runs, which need not be where it was built.
pub fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

pub fn open(path: &Path) -> (Arc<Gguf>, Graph) {
    let gguf = Arc::new(Gguf::open(path).unwrap());
    let graph = arch::graph(&gguf).unwrap();
    (gguf, graph)
}

pub fn demo() -> (Arc<Gguf>, Graph) {
    open(&root().join("assets/models/shakespeare-q4_k_m.gguf"))
}

pub fn cuda(gguf: &Arc<Gguf>, graph: &Graph, kv_f16: bool) -> CudaEngine {
    let options = CudaOptions { kv_f16, ..CudaOptions::default() };
    CudaEngine::new(gguf, graph.clone(), &options, &mut |_, _| {}).unwrap()
}

pub fn cpu(kv_f16: bool) -> CpuOptions {
    CpuOptions { threads: 0, kv_f16 }
}

#[derive(Default)]
pub struct Collect {
    position: usize,
    pub tensors: HashMap<(usize, Checkpoint), Vec<f32>>,
}

impl Tap for Collect {
    fn position(&mut self, position: usize) {
        self.position = position;
    }

    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        _: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        assert_eq!(shape.iter().product::<u32>() as usize, values.len(), "{checkpoint}");
        let before = self.tensors.insert((self.position, checkpoint), values.to_vec());
        assert!(before.is_none(), "{checkpoint} twice at {}", self.position);
        Ok(())
    }
}

pub type Run = HashMap<(usize, Checkpoint), Vec<f32>>;

/// Everything that `set` captures, and the logits of each position.
pub fn run(engine: &mut dyn Engine, tokens: &[u32], set: CaptureSet) -> (Run, Vec<Vec<f32>>) {
    engine.set_capture(set);
    let mut tap = Collect::default();
    let logits = tokens.iter().map(|&token| engine.step(token, &mut tap).unwrap().to_vec()).collect();
    (tap.tensors, logits)
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// ‖a − b‖ / ‖b‖. NaN and infinities make it NaN.
pub fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f64| v * v;
    let diff: f64 = a.iter().zip(b).map(|(&a, &b)| square(a as f64 - b as f64)).sum();
    let norm: f64 = b.iter().map(|&b| square(b as f64)).sum();
    if norm == 0.0 { diff.sqrt() } else { (diff / norm).sqrt() }
}

/// The largest error of a run against another, and where.
pub fn worst(run: &Run, reference: &Run) -> (f64, String) {
    assert_eq!(run.len(), reference.len());
    let mut worst = (0.0, String::new());
    for (&(position, checkpoint), values) in run {
        let error = relative(values, &reference[&(position, checkpoint)]);
        assert!(error.is_finite(), "{checkpoint} at {position}: {error}");
        if error >= worst.0 {
            worst = (error, format!("{checkpoint} at {position}"));
        }
    }
    worst
}

/// A random model of a small shape in the folder.
pub fn synthetic(folder: &Path, shape: &str, mix: &Mix) -> PathBuf {
    let vocab = Gguf::open(&root().join("assets/models/shakespeare-f16.gguf")).unwrap();
    let path = folder.join(format!("{shape}-{}.gguf", mix.name));
    Synth::new(&Shape::named(shape).unwrap(), mix, &vocab, 5).unwrap().save(&path, |_| {}).unwrap();
    path
}

/// Every model there is: each architecture in F32, F16 and a mix, each mix in one architecture, the
/// trained miniatures, and those of `PARITTY_MODELS`.
pub fn models(folder: &Path) -> Vec<PathBuf> {
    let mut models = Vec::new();
    for shape in SHAPES.iter().filter(|s| s.name.starts_with("tiny-")) {
        for mix in MIXES {
            let common = ["F32", "F16", "Q4_K_M"].contains(&mix.name);
            if common || shape.name == "tiny-llama" || shape.name == "tiny-qwen2" {
                models.push(synthetic(folder, shape.name, mix));
            }
        }
    }
    let more = std::env::var_os("PARITTY_MODELS").map(PathBuf::from);
    for folder in [Some(root().join("assets/models")), more].into_iter().flatten() {
        let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "gguf"))
            .collect();
        found.sort();
        models.extend(found);
    }
    models
}
