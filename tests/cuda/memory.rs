//! What does not fit, and what is not there.

use paritty::engine::cuda::{CudaEngine, CudaError, CudaOptions, Memory};
use paritty::engine::{Engine, EngineError, NoTap};
use paritty::model::CaptureSet;

use super::support::{TOKENS, bits, cuda, demo, run};

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn what_does_not_fit_is_said_before_anything_is_allocated() {
    let (gguf, graph) = demo();
    let options = CudaOptions { memory: Some(Memory(1 << 20)), ..CudaOptions::default() };
    let error = CudaEngine::new(&gguf, graph.clone(), &options, &mut |_, _| {}).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, EngineError::Cuda(CudaError::OutOfMemory { .. })), "{text}");
    assert!(text.contains("1.00 MiB") && text.contains("fit"), "{text}");
    let options = CudaOptions { device: 99, ..CudaOptions::default() };
    let error = CudaEngine::new(&gguf, graph, &options, &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("no CUDA device 99"), "{error}");
}

/// On a machine without a GPU the error says what is missing; on one with, there is none.
#[test]
fn without_a_gpu_the_error_says_what_is_missing() {
    let (gguf, graph) = demo();
    match CudaEngine::new(&gguf, graph, &CudaOptions::default(), &mut |_, _| {}) {
        Ok(engine) => assert_eq!(engine.header().backend, "CUDA"),
        Err(EngineError::Cuda(error)) => {
            let text = error.to_string();
            let says = ["libcuda", "no CUDA device", "libnvrtc", "driver does not start"];
            assert!(says.iter().any(|s| text.contains(s)), "{text}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn a_limit_holds_while_the_cache_grows_and_leaves_a_working_engine() {
    let (gguf, graph) = demo();
    let (_, logits) = run(&mut cuda(&gguf, &graph, false), &TOKENS, CaptureSet::Off);
    let open = |memory: u64, positions: usize| {
        let options = CudaOptions { memory: Some(Memory(memory)), positions, ..CudaOptions::default() };
        CudaEngine::new(&gguf, graph.clone(), &options, &mut |_, _| {})
    };
    // As little as it opens with, to within 64 KiB.
    let (mut too_little, mut enough) = (1_u64 << 20, 256_u64 << 20);
    while enough - too_little > 64 << 10 {
        let middle = u64::midpoint(enough, too_little);
        *(if open(middle, 8).is_ok() { &mut enough } else { &mut too_little }) = middle;
    }
    let mut engine = open(enough, 8).unwrap();
    engine.set_capture(CaptureSet::All);
    let stopped =
        (0..graph.n_ctx).find_map(|p| Some((p, engine.step(9 + p as u32 % 700, &mut NoTap).err()?)));
    let (position, error) = stopped.expect("the limit was never reached");
    let text = error.to_string();
    assert!(position >= 8, "{position} of 8 positions: {text}");
    assert!(matches!(error, EngineError::Cuda(CudaError::OutOfMemory { .. })), "{text}");
    assert!(text.contains("positions"), "{text}");
    engine.set_capture(CaptureSet::Off);
    engine.rewind(0).unwrap();
    let (_, again) = run(&mut engine, &TOKENS, CaptureSet::Off);
    assert_eq!(bits(&again[6]), bits(&logits[6]));
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn opening_says_what_it_takes() {
    let (gguf, graph) = demo();
    let opening = cuda(&gguf, &graph, false).opening();
    println!(
        "kernels {:.1} ms, {} of weights {:.1} ms",
        opening.kernels.as_secs_f64() * 1e3,
        indicatif::HumanBytes(opening.bytes),
        opening.weights.as_secs_f64() * 1e3
    );
    assert!(opening.bytes > 0 && opening.bytes <= gguf.file_size() * 2);
}
