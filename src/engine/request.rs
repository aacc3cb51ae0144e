//! What may be asked of an engine, checked alike for every backend.

use super::EngineError;
use crate::model::{Checkpoint, Graph, Node, NodeId};

/// Fails unless the vocabulary has `token`.
pub fn token(graph: &Graph, token: u32) -> Result<(), EngineError> {
    let n_vocab = graph.n_vocab;
    if (token as usize) < n_vocab {
        Ok(())
    } else {
        Err(EngineError::Request(format!(
            "token {token} is not in the vocabulary of {n_vocab}; is this the model that the tokens were made for?"
        )))
    }
}

/// Fails where the model's context ends before `position`.
pub fn position(graph: &Graph, position: usize) -> Result<(), EngineError> {
    if position < graph.n_ctx {
        Ok(())
    } else {
        let n_ctx = graph.n_ctx;
        Err(EngineError::Request(format!("position {position} is beyond the model's context of {n_ctx}")))
    }
}

/// Fails where fewer than `to` of `computed` positions are there to go back to.
pub fn rewind(to: usize, computed: usize) -> Result<(), EngineError> {
    if to <= computed {
        Ok(())
    } else {
        Err(EngineError::Request(format!("cannot rewind to position {to}: only {computed} are computed")))
    }
}

/// The node known by `checkpoint`.
pub fn node(graph: &Graph, checkpoint: Checkpoint) -> Result<NodeId, EngineError> {
    graph
        .find(checkpoint)
        .ok_or_else(|| EngineError::Request(format!("this model has no checkpoint {checkpoint}")))
}

/// Fails unless a graft has as many values as the node's output at `position`.
pub fn graft(node: &Node, position: usize, values: &[f32]) -> Result<(), EngineError> {
    let expected = if node.op.grows() { node.width * (position + 1) } else { node.width };
    if values.len() == expected {
        Ok(())
    } else {
        Err(EngineError::Request(format!(
            "graft at {} has {} values; the checkpoint has {expected} at position {position}",
            node.checkpoint.map(|c| c.to_string()).unwrap_or_default(),
            values.len(),
        )))
    }
}

/// Fails unless `inputs` are what `checkpoint`'s node takes at `position`.
pub fn inputs(
    graph: &Graph,
    checkpoint: Checkpoint,
    position: usize,
    inputs: &[&[f32]],
) -> Result<(), EngineError> {
    let node = graph.node(node(graph, checkpoint)?);
    if inputs.len() != node.inputs.len() {
        return Err(EngineError::Request(format!(
            "{checkpoint} has {} inputs, {} were given",
            node.inputs.len(),
            inputs.len()
        )));
    }
    for (i, (values, input)) in inputs.iter().zip(&node.inputs).enumerate() {
        let input = graph.node(*input);
        let repeats = node.op.history_input() == Some(i) || input.op.grows();
        let expected = input.width * if repeats { position + 1 } else { 1 };
        if values.len() != expected {
            return Err(EngineError::Request(format!(
                "input {i} of {checkpoint} has {} values, expected {expected} at position {position}",
                values.len()
            )));
        }
    }
    Ok(())
}

/// Shape of a node's output at `position`, fastest axis first.
pub fn output_shape(node: &Node, position: usize) -> Vec<u32> {
    if node.op.grows() {
        vec![position as u32 + 1, node.width as u32]
    } else {
        node.shape.iter().map(|&n| n as u32).collect()
    }
}
