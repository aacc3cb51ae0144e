//! What kind of mistake: for a faulty node, changes to the right computation are tried, one
//! after the other. One that brings the node back within its floor is the diagnosis.
//!
//! A hypothesis is a small type in a file of its own with a line in [`HYPOTHESES`]. It either proposes
//! *trials* (a changed node that is evaluated in place of the right one, with the engine's own
//! arithmetic) or *observes* something about the recorded values. Simpler ones come first;
//! general ones (any factor, any permutation) count only where no specific one explains the same.

mod activation;
mod attention;
mod attention_mask;
mod bias;
mod blank;
mod case;
mod dequantisation;
mod dropout;
mod edited;
mod embedding;
mod epsilon;
mod factor;
mod garbage;
mod heads;
mod inputs_missing;
mod known_faults;
mod later_positions;
mod layout;
mod logits;
mod norm_after_rope;
mod norm_formula;
mod norm_weight;
mod offset;
mod other_input;
mod other_position;
mod other_tensor;
mod pattern;
mod permuted;
mod precision;
mod residual;
mod rope;
mod rope_angles;
mod rounded_cache;
mod rounded_weights;
mod softmax;
mod stale;
mod stale_part;
mod stuck;
mod weights_differ;

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::AuditError;
use super::auditor::{Auditor, Finding, Judged};
use super::change::Change;
use super::choice::Choice;
use super::findings::Diagnosis;
use super::machine::Evaluation;
use super::stretch::{Reach, Stretch};
use super::unchanged::Unchanged;
pub use case::Case;
pub(super) use pattern::describe;

/// A changed computation, and what it means if it explains what was recorded.
pub struct Trial {
    /// Id of the mistake, where it is not the hypothesis's own.
    pub mistake: Option<&'static str>,
    /// Number in the catalogue of mistakes ([`crate::fault::Fault::catalogue`]); 0: none. Of trials with the same
    /// number, which say the same in other words, one is kept.
    pub kin: u8,
    /// What the engine did, as a clause: `RoPE pairs halves instead of neighbours`.
    pub says: String,
    /// The change.
    pub change: Change,
}

impl Trial {
    /// A trial of the hypothesis's own mistake.
    pub fn new(kin: u8, says: String, change: Change) -> Self {
        Self { mistake: None, kin, says, change }
    }
}

/// Something seen in the recorded values themselves.
pub struct Observation {
    /// Id of the mistake, where it is not the hypothesis's own.
    pub mistake: Option<&'static str>,
    /// What the engine or its recorder did.
    pub says: String,
    /// What is left of the deviation, as a share of the norm; NaN where that means nothing.
    pub left: f64,
}

/// One kind of mistake.
pub trait Hypothesis: Sync {
    /// Stable id; the same as that of the fault that makes this mistake, where there is one.
    fn id(&self) -> &'static str;
    /// Whether it has so much freedom that a specific explanation is to be preferred.
    fn is_general(&self) -> bool {
        false
    }
    /// Whether the recorder is at fault, not the engine.
    fn blames_instrument(&self) -> bool {
        false
    }
    /// Changes to try.
    fn trials(&self, _case: &Case<'_, '_>) -> Vec<Trial> {
        Vec::new()
    }
    /// What can be seen without a trial.
    fn observe(&self, _case: &Case<'_, '_>) -> Option<Observation> {
        None
    }
}

/// Every hypothesis, specific ones before general ones and simple ones before others.
pub static HYPOTHESES: &[&dyn Hypothesis] = &[
    &garbage::Garbage,
    &stale::Stale,
    &stale_part::StalePart,
    &known_faults::KnownFaults,
    &bias::Bias,
    &epsilon::Epsilon,
    &norm_weight::NormWeight,
    &norm_formula::NormFormula,
    &rope::RopeRules,
    &norm_after_rope::NormAfterRope,
    &softmax::SoftMaxRules,
    &attention::AttentionRules,
    &heads::Heads,
    &later_positions::LaterPositions,
    &activation::Activation,
    &residual::Residual,
    &embedding::Embedding,
    &other_input::OtherInput,
    &other_tensor::OtherTensor,
    &layout::Layout,
    &dequantisation::Dequantisation,
    &rounded_weights::RoundedWeights,
    &rounded_cache::RoundedCache,
    &precision::Precision,
    &logits::Logits,
    &blank::Blank,
    &stuck::Stuck,
    &permuted::Permuted,
    &factor::Factor,
    &norm_formula::NormGain,
    &rope_angles::RopeAngles,
    &attention_mask::AttentionMask,
    &other_position::OtherPosition,
    &dropout::Dropout,
    &inputs_missing::InputsMissing,
    &offset::Offset,
    &weights_differ::WeightsDiffer,
];

/// Cells on which a trial is made first.
const SAMPLE: usize = 4;
/// Values of a product that are evaluated first.
const FIRST_ROWS: usize = 192;
/// Faulty cells that a trial has to hold on in the end.
const CONFIRM: usize = 24;
/// Share of them that it must explain: a rounding tie may keep a row of a changed product away.
const MOST: f64 = 0.9;
/// A trial must lie this much nearer than the right computation does.
const CLEARLY: f64 = 4.0;
/// And, where much lies between the node and what was recorded, this much nearer before more is looked at.
const NEARER: f64 = 1.5;

/// A diagnosis with what ranks it.
struct Found {
    general: bool,
    kin: u8,
    /// Whether the same mistake would show in a neighbour that is clean.
    contradicted: bool,
    /// Whether it is only made at the faulty positions, though it would show at others, too.
    partial: bool,
    diagnosis: Diagnosis,
}

/// Steps that [`explain`] takes for all of `findings`: one for each operation that may hold the mistake.
pub(super) fn steps(findings: &[Finding]) -> usize {
    findings.iter().map(|finding| finding.stretch.nodes.len()).sum()
}

/// What explains a faulty node. `step` is called once for each operation that was looked at.
pub(super) fn explain(
    auditor: &Auditor<'_>,
    finding: &Finding,
    step: &mut dyn FnMut(),
) -> Result<Vec<Diagnosis>, AuditError> {
    let (stretch, choice, worst) = (&finding.stretch, finding.choice, finding.worst);
    let bridged = matches!(stretch.reach, Reach::Bridged(_));
    let mut sample = sample(&finding.faulty, SAMPLE);
    // The earliest rests on the fewest positions before it: what fails there is known soonest.
    let earliest = finding.faulty.iter().copied().min();
    sample.extend(earliest.filter(|p| bridged && !sample.contains(p)));
    let clean = self::sample(&finding.clean, SAMPLE);
    let confirm: BTreeSet<u32> =
        sample.iter().copied().chain(self::sample(&finding.faulty, CONFIRM)).collect();
    let confirm: Vec<u32> = confirm.into_iter().collect();
    let unchanged = Unchanged::default();
    let mut found: Vec<Found> = Vec::new();
    for target in stretch.nodes.iter().rev() {
        let case = Case::new(auditor, stretch, choice, *target, sample.clone())?.among(&finding.faulty);
        for hypothesis in HYPOTHESES {
            auditor.go_on()?;
            if hypothesis.is_general() && found.iter().any(|f| !f.general) {
                continue;
            }
            let diagnosis = |mistake: &str, says: String, after, explained| Diagnosis {
                mistake: mistake.to_owned(),
                says,
                instrument: hypothesis.blames_instrument(),
                before: worst.0,
                after,
                explained,
                tried: confirm.len(),
            };
            let general = hypothesis.is_general();
            if case.is_output()
                && let Some(seen) = hypothesis.observe(&case)
            {
                let mistake = seen.mistake.unwrap_or_else(|| hypothesis.id());
                let diagnosis = diagnosis(mistake, seen.says, seen.left, confirm.len());
                found.push(Found { general, kin: 0, contradicted: false, partial: false, diagnosis });
                continue;
            }
            let first = |trial: Trial| -> Result<Option<Trial>, AuditError> {
                if let Some(earliest) = earliest.filter(|_| bridged)
                    && !comes_nearer(auditor, finding, &trial.change, earliest, &unchanged)?
                {
                    return Ok(None);
                }
                let first = attempt(auditor, finding, &trial.change, &sample, Some(FIRST_ROWS))?;
                Ok(holds(&first, sample.len(), worst.1).then_some(trial))
            };
            let trials: Vec<Option<Trial>> =
                hypothesis.trials(&case).into_par_iter().map(first).collect::<Result<_, AuditError>>()?;
            for trial in trials.into_iter().flatten() {
                let twin = found
                    .iter()
                    .position(|f| f.diagnosis.says == trial.says || (trial.kin != 0 && f.kin == trial.kin));
                if twin.is_some_and(|at| !found[at].contradicted) {
                    continue;
                }
                // Where the engine was right, the mistake must make no difference, or was not made.
                let spared = judged(auditor, stretch, choice, &trial.change, &clean, None)?;
                let partial = !spared.iter().all(|j| j.deviation.is_explained());
                let whereabouts = if partial { whereabouts(finding) } else { String::new() };
                if partial && (whereabouts.is_empty() || found.iter().any(|f| !f.partial)) {
                    continue;
                }
                let all = attempt(auditor, finding, &trial.change, &confirm, None)?;
                if !holds(&all, confirm.len(), worst.1) {
                    continue;
                }
                let good: Vec<&Judged> = all.iter().filter(|j| j.deviation.is_explained()).collect();
                let after = good.iter().map(|j| j.deviation.relative).fold(0.0, f64::max);
                let mistake = trial.mistake.unwrap_or_else(|| hypothesis.id());
                let contradicted = known_faults::is_contradicted(auditor, *target, mistake)?;
                let diagnosis = diagnosis(mistake, trial.says + &whereabouts, after, good.len());
                let new = Found { general, kin: trial.kin, contradicted, partial, diagnosis };
                match twin {
                    Some(at) if !contradicted => found[at] = new,
                    Some(_) => {}
                    None => found.push(new),
                }
            }
        }
        step();
    }
    if found.iter().any(|f| !f.partial) {
        found.retain(|f| !f.partial);
    }
    if found.iter().any(|f| !f.general) {
        found.retain(|f| !f.general);
    } else {
        // Of general ones the first, which has the least freedom.
        found.truncate(1);
    }
    Ok(found.into_iter().map(|f| f.diagnosis).collect())
}

/// Where a mistake was made that would show at clean positions, too; empty where nothing can be said: of
/// what was recomputed from far back, single positions prove little.
fn whereabouts(finding: &Finding) -> String {
    let (Some(first), Some(last)) = (finding.faulty.iter().min(), finding.faulty.iter().max()) else {
        return String::new();
    };
    if matches!(finding.stretch.reach, Reach::Bridged(_)) {
        String::new()
    } else if finding.clean.iter().all(|p| p < first) {
        format!(", but only from position {first} on")
    } else if finding.clean.iter().all(|p| p > last) {
        format!(", but only up to position {last}")
    } else if finding.faulty.len() == 1 {
        format!(", but only at position {first}")
    } else {
        format!(
            ", but only at {} of {} positions",
            finding.faulty.len(),
            finding.faulty.len() + finding.clean.len()
        )
    }
}

/// Whether a change brings a node of which much lies between it and what was recorded nearer at one faulty
/// position: one that explains it must.
fn comes_nearer(
    auditor: &Auditor<'_>,
    finding: &Finding,
    change: &Change,
    position: u32,
    unchanged: &Unchanged,
) -> Result<bool, AuditError> {
    let Some(before) = finding.before.get(&position) else { return Ok(true) };
    let how = Evaluation {
        change: Some(change),
        rows: Some(FIRST_ROWS),
        unchanged: Some(unchanged),
        ..Evaluation::default()
    };
    auditor.go_on()?;
    let plain = auditor.judge(&finding.stretch, finding.choice, &[position], how, None).unwrap_or_default();
    // Explained is what is within the floor, which what is changed may move a little.
    let near = (before.relative / NEARER).max(2.0 * before.floor);
    Ok(plain.iter().any(|judged| judged.deviation.relative <= near || judged.deviation.is_explained()))
}

/// Tries a change where the node is faulty. What it costs to bridge is only looked at where the change
/// brings the node nearer.
fn attempt(
    auditor: &Auditor<'_>,
    finding: &Finding,
    change: &Change,
    positions: &[u32],
    rows: Option<usize>,
) -> Result<Vec<Judged>, AuditError> {
    let (stretch, choice) = (&finding.stretch, finding.choice);
    if matches!(stretch.reach, Reach::Bridged(_)) {
        let how = Evaluation { change: Some(change), rows, ..Evaluation::default() };
        let plain = auditor.judge(stretch, choice, positions, how, None).unwrap_or_default();
        if !plain.iter().any(|j| j.deviation.relative * NEARER <= finding.worst.0) {
            return Ok(plain);
        }
    }
    judged(auditor, stretch, choice, change, positions, rows)
}

fn judged(
    auditor: &Auditor<'_>,
    stretch: &Stretch,
    choice: Choice,
    change: &Change,
    positions: &[u32],
    rows: Option<usize>,
) -> Result<Vec<Judged>, AuditError> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let bridges = auditor.bridges(stretch, choice, positions, Some(change))?;
    let how = Evaluation { change: Some(change), rows, ..Evaluation::default() };
    // A change that cannot be made to this model (a tensor that is missing) is no explanation.
    Ok(auditor.judge(stretch, choice, positions, how, bridges.as_ref()).unwrap_or_default())
}

fn holds(judged: &[Judged], of: usize, before: f64) -> bool {
    let explained = judged.iter().filter(|j| {
        let d = &j.deviation;
        d.is_explained() && d.telling > 0 && d.severity * CLEARLY <= before
    });
    of > 0 && explained.count() as f64 >= of as f64 * MOST
}

fn sample(positions: &[u32], n: usize) -> Vec<u32> {
    let n = n.min(positions.len());
    let mut picked: Vec<u32> = Vec::new();
    for i in 0..n {
        let at = if n == 1 { 0 } else { i * (positions.len() - 1) / (n - 1) };
        if !picked.contains(&positions[at]) {
            picked.push(positions[at]);
        }
    }
    picked
}
