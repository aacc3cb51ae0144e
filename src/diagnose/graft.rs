//! Faults apart from what follows from them, by graft: where the candidate parts from the reference, it is
//! given the reference's values and runs on. What still parts then parts by itself.

use std::collections::BTreeSet;

use super::DiagnoseError;
use crate::compare::{Comparison, Verdict};
use crate::engine::Engine;
use crate::engine::record::Recorder;
use crate::garbage::visible;
use crate::model::{Checkpoint, Site};
use crate::trace::{Store, Tensor, Token, TraceWriter};

/// Grafts that are made at most: each is a run.
const ROUNDS: usize = 8;

/// Where the candidate parts from the reference although everything before it was made right.
#[derive(Clone, Debug, PartialEq)]
pub struct Parting {
    /// The checkpoint that is then grafted.
    pub checkpoint: Checkpoint,
    /// First position.
    pub position: u32,
    /// How far beyond noise.
    pub severity: f32,
    /// Cells beyond noise before the graft.
    pub beyond: u64,
    /// Whether every input of the operation was recorded; otherwise the fault may lie before it.
    pub isolated: bool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// With the grafts nothing differs beyond noise: everything else followed from them.
    Agrees,
    /// It still parts here, and a graft there changes nothing, or there were too many.
    Parts(Checkpoint),
    /// The reference lacks values that a graft needs.
    NoValues(Checkpoint),
    /// The comparison says something else than that the runs part.
    Undecided,
}

/// What grafts show.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolation {
    /// Faults, each by itself, in the order in which they came to light.
    pub partings: Vec<Parting>,
    /// What is left.
    pub rest: Rest,
}

/// Grafts the reference's values where the candidate parts, one place after the other. `run` executes the
/// candidate with the reference's values at these checkpoints.
pub fn isolate<E>(
    reference: &Store,
    first: &Comparison,
    run: &mut dyn FnMut(&BTreeSet<Checkpoint>) -> Result<Store, E>,
) -> Result<Isolation, E> {
    let mut grafts = BTreeSet::new();
    let mut partings = Vec::new();
    let mut verdict = first.verdict();
    let rest = loop {
        let (first, beyond) = match &*verdict {
            Verdict::Diverged { first, beyond, .. } => (first.clone(), *beyond),
            Verdict::WithinNoise { .. } => break Rest::Agrees,
            _ => break Rest::Undecided,
        };
        let at = first.checkpoint;
        if partings.len() == ROUNDS || !grafts.insert(at) {
            break Rest::Parts(at);
        }
        partings.push(Parting {
            checkpoint: at,
            position: first.position,
            severity: first.severity.0,
            beyond,
            isolated: first.isolated,
        });
        if reference.cell(first.position, at).is_none_or(|cell| cell.is_partial()) {
            break Rest::NoValues(at);
        }
        verdict = super::compare(reference, &run(&grafts)?).verdict();
    };
    Ok(Isolation { partings, rest })
}

/// Runs `engine` over `tokens` from position 0 with the reference's values at `grafts`.
pub fn run(
    engine: &mut dyn Engine,
    mut writer: TraceWriter,
    tokens: &[Token],
    reference: &Store,
    grafts: &BTreeSet<Checkpoint>,
) -> Result<(), DiagnoseError> {
    engine.rewind(0)?;
    let (mut row, mut seen) = (Tensor::default(), Tensor::default());
    for (position, token) in (0..).zip(tokens) {
        writer.token(position, token)?;
        for &checkpoint in grafts {
            if !reference.read(position, checkpoint, &mut row)? {
                continue;
            }
            let values = if matches!(checkpoint.site(), Site::Kq | Site::KqSoftMax) {
                visible(&row, position, &mut seen);
                &seen.values
            } else {
                &row.values
            };
            engine.graft(checkpoint, values.clone())?;
        }
        engine.step(token.id, &mut Recorder { sink: &mut writer, position })?;
        writer.complete(position)?;
    }
    Ok(writer.end()?)
}
