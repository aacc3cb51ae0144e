//! Each node of llama.cpp's run recomputed alone from that run's own inputs. Free-running runs of
//! quantised models differ by rounding that hides most mistakes; one node alone does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use paritty::engine::cpu::{CpuOptions, Oracle};
use paritty::engine::{Engine, NoTap};
use paritty::gguf::{Gguf, WeightType};
use paritty::model::{Checkpoint, Graph, Node, Op, Site};

use super::relative;
use super::runs::Cells;

/// How far llama.cpp's node may be from exact arithmetic on its own inputs.
fn limit(gguf: &Gguf, node: &Node, position: usize) -> f64 {
    match node.op {
        Op::Embed | Op::PosEmbed | Op::Slice { .. } => 0.0,
        // x and gelu(x) are rounded to f16 on the way through llama.cpp's table, 2⁻¹¹ each at worst.
        Op::Gelu => 1e-3,
        Op::MatMul => match gguf.tensor(node.weight.as_deref().unwrap()).unwrap().weight_type {
            WeightType::F32 => 1e-6,
            // Activations are rounded to f16: at most 2⁻¹¹, 2.7e-4 as a rule.
            WeightType::F16 => 5e-4,
            // To bf16, which has three bits less.
            WeightType::Bf16 => 4e-3,
            // To blocks of 32 or 256 integers of 8 bits: steps of amax/127. 1e-2 and 2e-2 as a rule; a
            // row whose largest value is 15 times its rms (SwiGLU makes such) has 15/127/√12.
            _ => 3.5e-2,
        },
        // llama.cpp multiplies its way from pair to pair: an angle of θ is off by some 2⁻²⁴ of it. Seen:
        // 1.0e-6 at position 27.
        Op::Rope(_) => 1e-6 + 1e-7 * position as f64,
        // A few roundings to single precision; sums of a few hundred terms. Seen: 4.5e-7.
        _ => 1e-6,
    }
}

/// Every node recomputed at every position; says which was worst of its kind.
pub fn check(about: &str, gguf: &Arc<Gguf>, graph: &Graph, cells: &Cells, tokens: &[u32]) -> String {
    let mut oracle = Oracle::new(gguf, graph.clone(), CpuOptions { threads: 1, kv_f16: false }).unwrap();
    let mut kinds: BTreeMap<String, f64> = BTreeMap::new();
    for node in &graph.nodes {
        let Some(checkpoint) = node.checkpoint else { continue };
        let inputs: Vec<&Node> = node.inputs.iter().map(|id| graph.node(*id)).collect();
        let names: Option<Vec<_>> = inputs.iter().map(|input| input.checkpoint).collect();
        let values = match names {
            Some(names) => evaluated(&mut oracle, node, &names, cells, tokens),
            // llama.cpp does not show the logits before their soft-cap.
            None => computed(&mut oracle, checkpoint, cells, tokens),
        };
        for (position, values) in values.iter().enumerate() {
            let error = relative(&cells.0[&(position as u32, checkpoint)], values);
            let hidden = inputs.iter().filter(|input| input.checkpoint.is_none());
            let limit = hidden.chain([&node]).map(|node| limit(gguf, node, position)).fold(0.0, f64::max);
            let name = node.op.name();
            assert!(error <= limit, "{about}: {checkpoint} at {position} ({name}) is off by {error:.1e}");
            let worst = kinds.entry(kind(gguf, node)).or_default();
            *worst = worst.max(error);
        }
    }
    kinds.retain(|_, error| *error > 1e-7);
    kinds.iter().map(|(kind, error)| format!("{kind} {error:.1e}")).collect::<Vec<_>>().join(", ")
}

/// The node alone, from what llama.cpp showed of its inputs.
fn evaluated(
    oracle: &mut Oracle,
    node: &Node,
    inputs: &[Checkpoint],
    cells: &Cells,
    tokens: &[u32],
) -> Vec<Vec<f32>> {
    let mut at = |position: usize, token| {
        let inputs: Vec<Vec<f32>> = inputs
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let first = if node.op.history_input() == Some(i) { 0 } else { position };
                (first..=position).flat_map(|p| &cells.0[&(p as u32, *name)]).copied().collect()
            })
            .collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        oracle.eval(node.checkpoint.unwrap(), position, token, &inputs).unwrap().values
    };
    tokens.iter().enumerate().map(|(position, &token)| at(position, token)).collect()
}

/// `checkpoint` in a run where every other one takes the values that llama.cpp showed.
fn computed(oracle: &mut Oracle, checkpoint: Checkpoint, cells: &Cells, tokens: &[u32]) -> Vec<Vec<f32>> {
    assert_eq!(checkpoint, Checkpoint::LOGITS);
    oracle.rewind(0).unwrap();
    let step = |(position, &token): (usize, &u32)| {
        for ((_, other), values) in cells.0.range((position as u32, Checkpoint::global(Site::Embd))..) {
            if *other == checkpoint {
                break;
            }
            oracle.graft(*other, values.clone()).unwrap();
        }
        oracle.step(token, &mut NoTap).unwrap().to_vec()
    };
    tokens.iter().enumerate().map(step).collect()
}

fn kind(gguf: &Gguf, node: &Node) -> String {
    match (&node.op, &node.weight) {
        (Op::MatMul, Some(weight)) => gguf.tensor(weight).unwrap().weight_type.to_string(),
        (op, _) => op.name().to_owned(),
    }
}
