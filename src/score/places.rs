//! Where in a model a fault can be made.

use super::ScoreError;
use crate::fault::{Fault, Injection};
use crate::model::{Checkpoint, Graph};

/// Where a fault is made in a model: in the first, a middle and the last layer, or in one of them by turns;
/// once where it is in no layer; nowhere where the model has no place for it.
pub fn places(fault: &dyn Fault, graph: &Graph, turn: Option<usize>) -> Result<Vec<Injection>, ScoreError> {
    let made = |injection: &Injection| {
        let mut wrong = graph.clone();
        injection.apply(&mut wrong).is_ok().then_some(wrong)
    };
    let everywhere: Injection = fault.id().parse()?;
    let Some(wrong) = made(&everywhere) else { return Ok(Vec::new()) };
    let in_layers = graph
        .nodes
        .iter()
        .zip(&wrong.nodes)
        .filter(|(a, b)| a != b)
        .any(|(node, _)| node.checkpoint.and_then(Checkpoint::layer_index).is_some());
    if !in_layers {
        return Ok(vec![everywhere]);
    }
    let mut layers = vec![0, graph.n_layer / 2, graph.n_layer - 1];
    layers.dedup();
    let mut places = Vec::new();
    for layer in layers {
        let injection: Injection = format!("{}@{layer}", fault.id()).parse()?;
        if made(&injection).is_some() {
            places.push(injection);
        }
    }
    if let Some(turn) = turn.filter(|_| !places.is_empty()) {
        places = vec![places[turn % places.len()]];
    }
    Ok(places)
}
