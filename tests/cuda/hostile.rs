//! Numbers that kernels must not hide.

use paritty::engine::Engine;
use paritty::engine::cpu::Oracle;
use paritty::model::Op;
use paritty::synth::mix::Mix;

use super::support::{cpu, cuda, open, synthetic};

/// Numbers that a kernel may meet and must not hide.
const HOSTILE: [f32; 12] = [
    0.0,
    -0.0,
    1e-45,
    -1e-40,
    1.1754944e-38,
    65504.0,
    -65520.0,
    3.4028235e38,
    1e30,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// The same class, and near where finite: within `tolerance` of the larger of the two and of `scale`.
fn alike(a: f32, b: f32, tolerance: f32, scale: f32, terms: usize) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a.is_infinite() || b.is_infinite() {
        // At the border of what f32 holds, the order of a sum decides.
        return a == b || a.abs().min(b.abs()) > 1e38;
    }
    // A product that is denormal is off by half of the smallest number.
    (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(scale) + terms as f32 * 1.5e-45
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --test cuda -- --ignored"]
fn hostile_values_come_out_as_on_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    for (shape, mix) in [
        ("tiny-llama", "F32"),
        ("tiny-llama", "F16"),
        ("tiny-llama", "Q4_K_M"),
        ("tiny-gpt2", "F32"),
        ("tiny-gemma2", "Q8_0"),
        ("tiny-qwen3", "F32"),
    ] {
        let (gguf, graph) = open(&synthetic(folder.path(), shape, Mix::named(mix).unwrap()));
        let mut device = cuda(&gguf, &graph, false);
        let mut oracle = Oracle::new(&gguf, graph.clone(), cpu(false)).unwrap();
        let position = 4;
        for node in graph.nodes.iter().filter(|n| n.checkpoint.is_some() && !n.inputs.is_empty()) {
            let checkpoint = node.checkpoint.unwrap();
            for (case, hostile) in HOSTILE.iter().enumerate() {
                // One odd value among ordinary ones, all of them odd, or two kinds mixed.
                for fill in 0..3 {
                    let inputs: Vec<Vec<f32>> = node
                        .inputs
                        .iter()
                        .enumerate()
                        .map(|(i, id)| {
                            let input = graph.node(*id);
                            let all = node.op.history_input() == Some(i) || input.op.grows();
                            let n = input.width * if all { position + 1 } else { 1 };
                            (0..n)
                                .map(|k| match fill {
                                    0 if k == (n / 3 + case) % n => *hostile,
                                    1 => *hostile,
                                    2 if k % 5 == 1 => *hostile,
                                    _ => ((k * 37 + i * 11) % 101) as f32 / 50.0 - 1.0,
                                })
                                .collect()
                        })
                        .collect();
                    let views: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
                    let ours = device.eval(checkpoint, position, 1, &views).unwrap().values;
                    let theirs = oracle.eval(checkpoint, position, 1, &views).unwrap().values;
                    // Sums of products: what cancels is as large as the largest finite input allows, and a
                    // sum that overflows f32 on the way is infinite or NaN there and large here.
                    let largest =
                        inputs.iter().flatten().filter(|v| v.is_finite()).fold(0.0f32, |m, v| m.max(v.abs()));
                    let sums = matches!(node.op, Op::MatMul | Op::Scores(_) | Op::Mix(_));
                    if sums && largest > 1e29 {
                        continue;
                    }
                    let product = if matches!(node.op, Op::Scores(_)) { largest * largest } else { largest };
                    let scale = if sums { product * inputs[0].len() as f32 } else { 0.0 };
                    let terms = if sums { inputs[0].len() } else { 4 };
                    for (i, (&a, &b)) in ours.iter().zip(&theirs).enumerate() {
                        assert!(
                            alike(a, b, 2e-6, scale, terms),
                            "{shape} {mix} {checkpoint} [{i}] with {hostile:e} ({fill}): {a:e} here, {b:e} in the oracle"
                        );
                    }
                }
            }
        }
    }
}
