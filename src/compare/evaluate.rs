//! From figures to severities and to the place where an error enters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cells::Judgement;
use super::column::{Column, Summary};
use super::evidence::{Context, Entry, NodeStats, entries};
use super::expect::{Expect, Measured};
use super::figures::Figures;
use super::lineage::{Kind, Lineage};
use super::metrics::worse;
use super::noise::{Class, Noise};
use super::{CellState, Divergence, Severity};
use crate::model::{Checkpoint, Site};

/// The table's floors are 99th percentiles of measured pairs; other models, prompts and machines differ
/// from those by less than this.
pub const MARGIN: f32 = 2.0;
/// A pair that is noisier than the table throughout, with no operation standing out, is taken for
/// what it is up to this relative error of a checkpoint over all positions: a few outlier channels in the norms raise the noise of
/// four-bit types tenfold, to 0.54 at the logits. Beyond this the runs have nothing in common worth
/// the name of noise.
pub fn ceiling(class: Class) -> f32 {
    match class {
        Class::Exact => 1e-3,
        Class::KvF16 => 0.1,
        Class::Half => 0.25,
        // Deep models with outlier channels drift until the runs are unrelated (errors of 1.1 to 1.2
        // seen with random weights); that products are too coarse throughout is found by itself.
        Class::Q8 | Class::Q4 => 1.35,
    }
}

/// Error over expected error at one position above which an error enters there.
///
/// Sums, pieces, rotations and the softmax are bounded strictly, so anything beyond rounding is an
/// entry. A norm passes on more than it gets where its weight is large and the error sits there: 3 times
/// with weights of 15 among weights of 1. Products, mixtures and activations were seen at up to 2.6 times
/// the expectation in correct pairs, trained models included (a row of values that nearly cancel),
/// scores at 3.4.
pub fn entry_limit(kind: Kind) -> f64 {
    match kind {
        Kind::Add | Kind::Shift | Kind::Rotation => 1.05,
        Kind::SoftMax => 1.1,
        Kind::Lookup => 2.0,
        Kind::Product | Kind::Mix | Kind::Gate => 5.0,
        Kind::Norm | Kind::Scores => 7.0,
    }
}

/// Ratio above which an error enters in a part of a row.
const PART: f64 = 10.0;

/// What holds for all columns of a pair.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The noise floor.
    pub noise: Noise,
    /// Who is computed from what.
    pub lineage: Arc<Lineage>,
    /// Length of one query head.
    pub head_dim: Option<u32>,
    /// How many times the table's noise this pair has throughout; at least 1.
    pub scale: f32,
    /// Where evidence over all positions says that an error enters.
    pub entry: Option<Entry>,
    /// Whether some positions show that entry by themselves; the others are then not blamed for it.
    pub entry_shows: bool,
    /// Largest error of keys and values over the positions seen.
    pub history: HashMap<Checkpoint, f32>,
}

impl Rules {
    /// Error over floor and margin; what a severity is before the pair's own scale is taken off.
    pub fn unscaled(&self, column: &Figures, checkpoint: Checkpoint, figures: &Measured) -> f32 {
        let floor =
            self.noise.floor(checkpoint, self.lineage.layers()) * self.cancelled(column, checkpoint, figures);
        let floor = floor.hypot(figures.record);
        figures.error / (MARGIN * floor)
    }

    /// Error over expected error.
    pub fn excess(&self, column: &Figures, checkpoint: Checkpoint, figures: &Measured) -> Excess {
        let expect = Expect {
            lineage: &self.lineage,
            noise: &self.noise,
            here: &|c| column.get(c),
            history: &|c| self.history.get(&c).copied(),
            position: column.position,
            head_dim: self.head_dim,
        };
        let expectation = expect.of(checkpoint, figures.norm.into());
        let cancelled = f64::from(self.cancelled(column, checkpoint, figures));
        let expected = (expectation.error * cancelled).hypot(figures.record.into());
        Excess {
            ratio: f64::from(figures.error) / expected,
            // A part may hold what its inputs' parts do not: half of a pair that was turned, say.
            limit: entry_limit(self.lineage.kind(checkpoint)).max(if figures.part { PART } else { 0.0 }),
            expected,
            worst_input: expectation.worst_input,
            isolated: expectation.isolated,
        }
    }

    /// How many times smaller the scores are than those of unrelated queries and keys of the same
    /// length, at least 1: scores of a few heads and positions may nearly cancel, their errors do not.
    /// A score of unrelated vectors is |q|·|k|/√n for n values of a head; summed over heads and
    /// positions, that is |Q|·|K|·√(scores · n / (values of Q · values of K)).
    fn cancelled(&self, column: &Figures, checkpoint: Checkpoint, figures: &Measured) -> f32 {
        if self.lineage.kind(checkpoint) != Kind::Scores {
            return 1.0;
        }
        let inputs = self.lineage.parents(checkpoint);
        let known = |i: usize| inputs.get(i).and_then(|input| column.get(input.checkpoint));
        let (Some(q), Some(k), Some(head_dim)) = (known(0), known(1), self.head_dim) else { return 1.0 };
        let share = figures.width as f32 * head_dim as f32 / (q.width as f32 * k.width as f32);
        let usual = q.norm * k.norm * share.sqrt();
        if usual > figures.norm && figures.norm > 0.0 { usual / figures.norm } else { 1.0 }
    }

    /// Notes the errors that later positions' attention inherits.
    pub fn remember(&mut self, column: &Figures) {
        for (checkpoint, figures) in column.iter() {
            let site = checkpoint.site();
            if site >= Site::VcurMm && site <= Site::KcurRope {
                let worst = self.history.entry(checkpoint).or_insert(0.0);
                *worst = worse((*worst).into(), figures.error.into()) as f32;
            }
        }
    }

    /// Severities and origins of a column's cells, and what they say together.
    pub(super) fn apply(&self, column: &Column, figures: &Figures) -> (Vec<Judgement>, Summary) {
        let mut summary = Summary::default();
        let mut judgements = Vec::with_capacity(column.cells.len());
        // Both are in order of execution.
        let mut known = figures.iter().peekable();
        for cell in &column.cells {
            judgements.push(Judgement::of(&cell.state));
            if !matches!(cell.state, CellState::Compared { .. }) {
                continue;
            }
            while known.next_if(|(checkpoint, _)| *checkpoint < cell.checkpoint).is_some() {}
            let Some((_, measured)) = known.next_if(|(checkpoint, _)| *checkpoint == cell.checkpoint) else {
                continue;
            };
            let unscaled = self.unscaled(figures, cell.checkpoint, &measured);
            let excess = self.excess(figures, cell.checkpoint, &measured);
            let mut value = if unscaled.is_nan() { f32::INFINITY } else { unscaled / self.scale };
            let mut origin = excess.is_entry();
            if origin {
                value = value.max((excess.ratio / excess.limit) as f32);
            }
            let shows = excess.is_unexplained() || !self.entry_shows;
            if let Some(entry) = self.entry.as_ref().filter(|e| e.checkpoint == cell.checkpoint && shows) {
                origin = true;
                value = value.max(entry.strength as f32);
            }
            let severity = Severity(value);
            judgements.pop();
            judgements.push(Judgement::new(severity, origin));
            summary.cells += 1;
            summary.unscaled = if unscaled.is_nan() { f32::INFINITY } else { summary.unscaled.max(unscaled) };
            if severity.is_beyond_noise() {
                summary.beyond += 1;
                summary.first_beyond.get_or_insert(cell.checkpoint);
                if origin {
                    summary.origin.get_or_insert(cell.checkpoint);
                }
            }
            if summary.worst.is_none_or(|(_, w)| value > w.0) {
                summary.worst = Some((cell.checkpoint, severity));
            }
        }
        (judgements, summary)
    }

    /// The divergence at a cell, put together from its figures.
    pub fn divergence(
        &self,
        column: &Column,
        figures: &Figures,
        checkpoint: Checkpoint,
    ) -> Option<Divergence> {
        let CellState::Compared { metrics, severity, .. } = column.cell(checkpoint)?.state else {
            return None;
        };
        let measured = figures.get(checkpoint)?;
        let excess = self.excess(figures, checkpoint, &measured);
        let worst_input = excess.worst_input.map(|(input, _)| {
            let of_input = column.cell(input).and_then(|c| match c.state {
                CellState::Compared { severity, .. } => Some(severity),
                _ => None,
            });
            (input, of_input.unwrap_or(Severity(0.0)))
        });
        let evidence = match &self.entry {
            Some(entry) if entry.checkpoint == checkpoint => entry.evidence.clone(),
            _ if excess.is_entry() => format!(
                "relative error {:.2e}, where the errors of its inputs and rounding explain {:.2e}",
                measured.error, excess.expected
            ),
            _ => format!(
                "relative error {:.2e}; no operation stands out before it: the error grows smoothly, as from arithmetic of low precision",
                measured.error
            ),
        };
        Some(Divergence {
            position: column.position,
            checkpoint,
            metrics,
            severity,
            worst_input,
            isolated: excess.isolated,
            evidence,
        })
    }
}

/// Error over expected error, with what it was expected from.
#[derive(Clone, Copy, Debug)]
pub struct Excess {
    /// The ratio; NaN where the error is.
    pub ratio: f64,
    /// The expected error.
    pub expected: f64,
    /// The ratio above which an error enters.
    pub limit: f64,
    /// The input with the largest error.
    pub worst_input: Option<(Checkpoint, f32)>,
    /// Whether every input was recorded.
    pub isolated: bool,
}

impl Excess {
    /// Whether the error is more than its inputs and rounding explain, by whatever margin.
    pub fn is_unexplained(&self) -> bool {
        !(self.ratio <= 1.0)
    }

    /// Whether an error enters here: more than inputs and rounding explain, and inputs without NaN.
    pub fn is_entry(&self) -> bool {
        let inputs_finite = self.worst_input.is_none_or(|(_, error)| error.is_finite());
        inputs_finite && !(self.ratio <= self.limit)
    }
}

/// Looks at all positions together: the pair's own noise and evidence below the table's floor.
/// Columns must be in ascending order.
pub fn evaluate<'a>(
    rules: &mut Rules,
    stats: &mut BTreeMap<Checkpoint, NodeStats>,
    columns: &(impl Iterator<Item = &'a Figures> + Clone),
) {
    rules.history.clear();
    for stat in stats.values_mut() {
        (stat.log_excess, stat.excess_n, stat.expected) = (None, 0, 0.0);
    }
    let mut unscaled: Vec<(Checkpoint, f32)> = Vec::new();
    let mut cell_entry: Option<Checkpoint> = None;
    for figures in columns.clone() {
        rules.remember(figures);
        // Everything is in order of execution: nothing has to be searched for.
        let mut stats = stats.iter_mut().peekable();
        let mut at = 0;
        for (checkpoint, measured) in figures.iter() {
            let excess = rules.excess(figures, checkpoint, &measured);
            if excess.is_entry() {
                cell_entry = Some(cell_entry.map_or(checkpoint, |c| c.min(checkpoint)));
            }
            let own = rules.unscaled(figures, checkpoint, &measured);
            at += unscaled[at..].iter().take_while(|(c, _)| *c < checkpoint).count();
            if unscaled.get(at).is_none_or(|(c, _)| *c != checkpoint) {
                unscaled.insert(at, (checkpoint, 0.0));
            }
            let worst = &mut unscaled[at].1;
            *worst = worse((*worst).into(), own.into()) as f32;
            while stats.next_if(|(c, _)| **c < checkpoint).is_some() {}
            let Some((_, stat)) = stats.next_if(|(c, _)| **c == checkpoint) else { continue };
            if excess.ratio.is_finite() {
                // Equal bits are not infinitely better than expected.
                let log = excess.ratio.max(1e-3).ln();
                stat.log_excess = Some(stat.log_excess.unwrap_or(0.0) + log);
                stat.expected += excess.expected * excess.expected;
                stat.excess_n += 1;
            }
        }
    }
    for stat in stats.values_mut() {
        let n = f64::from(stat.excess_n.max(1));
        stat.log_excess = stat.log_excess.map(|sum| sum / n);
        stat.expected = (stat.expected / n).sqrt();
    }
    let context = Context { nodes: stats, lineage: &rules.lineage };
    let entry = entries(&context).next();
    rules.entry_shows = entry.as_ref().is_some_and(|entry| {
        columns.clone().any(|figures| {
            figures
                .get(entry.checkpoint)
                .is_some_and(|m| rules.excess(figures, entry.checkpoint, &m).is_unexplained())
        })
    });
    let origin = match (&entry, cell_entry) {
        (Some(e), Some(c)) => Some(e.checkpoint.min(c)),
        (e, c) => e.as_ref().map(|e| e.checkpoint).or(c),
    };
    // What lies before the origin shows how noisy the pair is; without one, everything does, unless
    // the error is larger than noise can be.
    let largest = stats.values().map(NodeStats::error).fold(0.0, f64::max);
    let before = unscaled.iter().filter(|(c, _)| origin.is_none_or(|o| *c < o)).map(|(_, x)| *x);
    let noisiest = before.fold(1.0, |a, b| worse(a, b.into())) as f32;
    let smooth = origin.is_some() || largest <= f64::from(ceiling(rules.noise.class()));
    rules.scale = if smooth && noisiest.is_finite() { noisiest } else { 1.0 };
    rules.entry = entry;
}
