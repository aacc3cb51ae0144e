//! A fault as a change of the file: what the fault does to the graph, node by node, said with the
//! tensors and keys that the graph was built from.

use super::{Edit, MutateError};
use crate::fault::Injection;
use crate::model::graph::Graph;
use crate::model::view::{ValueChange, View};
use crate::model::{Node, Op, arch};

/// A cap that no score or logit comes near, for engines that always cap: 10⁶ · tanh(x / 10⁶) is x to
/// within rounding for |x| below 10³.
const NO_CAP: f32 = 1e6;

/// Makes `fault` in the file. Fails where the file has no words for it.
pub fn translate(edit: &mut Edit<'_>, fault: Injection) -> Result<(), MutateError> {
    let right = arch::graph(edit.gguf())?;
    let mut wrong = right.clone();
    fault.apply(&mut wrong)?;
    let refuse = |why: &str| MutateError::NotInFile { fault: fault.to_string(), why: why.to_owned() };
    if right == wrong {
        return Err(refuse("it is a mistake of the recorder or of the tokens, not of the model"));
    }
    let arch = edit.gguf().get_str("general.architecture")?.to_owned();
    for (before, after) in right.nodes.iter().zip(&wrong.nodes).filter(|(a, b)| a != b) {
        let mut done = before.clone();
        weights(edit, &right, &mut done, after)?;
        let factors = matches!((&before.op, &done.op), (Op::Rope(a), Op::Rope(b)) if a.factors != b.factors);
        let keys = keys(edit, &arch, &right, &mut done, after);
        if (keys || factors) && fault.layer().is_some() {
            return Err(refuse("keys and RoPE factors hold for every layer: leave out @LAYER"));
        }
        if done != *after {
            return Err(refuse(
                "it is a mistake of the engine, and no tensor or key makes another engine make it",
            ));
        }
        if !done.departure.views.is_empty() && uses(&right, before.weight.as_deref()) > 1 {
            return Err(refuse(
                "embedding and output share one tensor here, and the fault is in one of the two",
            ));
        }
    }
    Ok(())
}

/// How many operations use a tensor as their weight.
fn uses(graph: &Graph, tensor: Option<&str>) -> usize {
    graph.nodes.iter().filter(|n| n.weight.as_deref() == tensor).count()
}

/// What is said with tensors; `done` becomes as much like `after` as that goes.
fn weights(edit: &mut Edit<'_>, right: &Graph, done: &mut Node, after: &Node) -> Result<(), MutateError> {
    if let Some(weight) = done.weight.clone() {
        match &after.weight {
            None if matches!(done.op, Op::RmsNorm { .. } | Op::LayerNorm { .. }) => {
                edit.view(&weight, View::Values(ValueChange::Set(1.0)))?;
                done.weight = None;
            }
            None if matches!(done.op, Op::AddBias) => {
                edit.view(&weight, View::Values(ValueChange::Scaled(0.0)))?;
                done.op = Op::Scale { factor: 1.0 };
                (done.weight, done.weight_type) = (None, None);
            }
            Some(other) if *other != weight && uses(right, Some(&weight)) == 1 => {
                edit.take(&weight, other)?;
                (done.weight, done.weight_type) = (Some(other.clone()), after.weight_type);
            }
            _ => {}
        }
        if after.departure.from == 0 {
            for view in after.departure.views.iter().skip(done.departure.views.len()) {
                edit.view(&weight, view.clone())?;
                done.departure.views.push(view.clone());
            }
        }
    }
    if let (Some(bias), None) = (done.bias.clone(), &after.bias) {
        edit.view(&bias, View::Values(ValueChange::Scaled(0.0)))?;
        done.bias = None;
    }
    if let (Op::Rope(rope), Op::Rope(wrong)) = (&mut done.op, &after.op)
        && let (Some(factors), None) = (&rope.factors, &wrong.factors)
    {
        // One tensor serves every layer: the first node does it for all.
        if !edit.changed_tensors().any(|t| t == factors) {
            edit.view(factors, View::Values(ValueChange::Set(1.0)))?;
        }
        rope.factors = None;
    }
    Ok(())
}

/// What is said with keys; whether anything was.
fn keys(edit: &mut Edit<'_>, arch: &str, right: &Graph, done: &mut Node, after: &Node) -> bool {
    let key = |name: &str| format!("{arch}.{name}");
    // A key speaks for every layer, so what it says has to be the same everywhere.
    let same_bases = || {
        let bases = right.nodes.iter().filter_map(|n| match &n.op {
            Op::Rope(rope) => Some(rope.freq_base),
            _ => None,
        });
        let mut bases: Vec<u32> = bases.map(f32::to_bits).collect();
        bases.dedup();
        bases.len() == 1
    };
    let before = done.op.clone();
    match (&mut done.op, &after.op) {
        (Op::RmsNorm { eps, .. }, Op::RmsNorm { eps: wrong, .. }) if eps != wrong => {
            edit.set_float(&key("attention.layer_norm_rms_epsilon"), *wrong);
            *eps = *wrong;
        }
        (Op::LayerNorm { eps }, Op::LayerNorm { eps: wrong }) if eps != wrong => {
            edit.set_float(&key("attention.layer_norm_epsilon"), *wrong);
            *eps = *wrong;
        }
        (Op::Rope(rope), Op::Rope(wrong)) => {
            if rope.freq_base != wrong.freq_base && same_bases() {
                edit.set_float(&key("rope.freq_base"), wrong.freq_base);
                rope.freq_base = wrong.freq_base;
            }
            if rope.n_rot != wrong.n_rot {
                edit.set_integer(&key("rope.dimension_count"), wrong.n_rot as u32);
                rope.n_rot = wrong.n_rot;
            }
        }
        (Op::SoftMax(a), Op::SoftMax(wrong)) => {
            if a.window != wrong.window {
                let window = wrong.window.unwrap_or(right.n_ctx) as u32;
                edit.set_integer(&key("attention.sliding_window"), window);
                a.window = wrong.window;
            }
            if a.softcap.is_some() && wrong.softcap.is_none() {
                edit.set_float(&key("attn_logit_softcapping"), NO_CAP);
                a.softcap = None;
            }
        }
        (op @ Op::SoftCap { .. }, Op::Scale { factor: 1.0 }) => {
            edit.set_float(&key("final_logit_softcapping"), NO_CAP);
            *op = Op::Scale { factor: 1.0 };
        }
        _ => {}
    }
    done.op != before
}
