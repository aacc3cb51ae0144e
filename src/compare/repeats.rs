//! A row that repeats another bit for bit: did the engine go on with it, or does only the record hold it?
//!
//! An operation that reads a stale input, or that a mask leaves with the same one position to see, repeats
//! its result honestly, and what follows is computed from that. A recorder that copies an old buffer leaves
//! records that follow from something else. What is recorded behind the row tells them apart, without the
//! model: a sum must be that of its parts, and what depends on the row alone must repeat as well.

use std::collections::BTreeSet;

use super::lineage::{Kind, Lineage};
use crate::garbage::{Blame, Finding};
use crate::model::{Checkpoint, Site};
use crate::trace::{Store, Tensor};

/// What was done with a row that repeats another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// This follows from it: the engine had it.
    Used(Checkpoint),
    /// This, or nothing at all, follows from it: the engine had something else.
    Unused(Option<Checkpoint>),
    /// Nothing that is recorded tells.
    Unknown,
}

/// Confidence in a stale row where nothing recorded tells whether the engine went on with it.
const PERHAPS_STALE: f32 = 0.7;
/// And where something that is recorded says that it did not.
const SURELY_STALE: f32 = 0.95;

impl Use {
    /// Says so in the finding of a stale row. What the engine went on with is laid on `others`.
    pub fn settle(self, finding: &mut Finding, others: Blame) {
        match self {
            Self::Used(by) => {
                finding.blame = others;
                let says = format!("; the engine went on with them: {by} follows from them");
                finding.evidence += &says;
            }
            Self::Unused(Some(not)) => {
                finding.confidence = finding.confidence.max(SURELY_STALE);
                let says = format!("; {not} does not follow from them");
                finding.evidence += &says;
            }
            Self::Unused(None) => {}
            Self::Unknown => finding.confidence = finding.confidence.min(PERHAPS_STALE),
        }
    }
}

/// A sum holds a part if what is left of it is less than this share of the part.
const HOLDS: f64 = 0.1;
/// It does not if more than this is left, and more of the sum than records in bf16 (4e-3) lose.
const LACKS: (f64, f64) = (0.5, 1e-2);
/// Two results of one operation on the same bits are nearer than this, in whatever arithmetic.
const SAME_RESULT: f64 = 0.1;

/// A row, and the one that it repeats.
#[derive(Clone, Copy)]
struct Pair {
    row: (u32, Checkpoint),
    from: (u32, Checkpoint),
}

impl Pair {
    /// The pair of `other`, a checkpoint at the row's position, in the same relation.
    fn of(self, other: Checkpoint) -> Option<Self> {
        let ((position, at), (before, source)) = (self.row, self.from);
        let twin = match (at.layer_index(), source.layer_index(), other.layer_index()) {
            (a, b, _) if a == b => other,
            (Some(a), Some(b), Some(layer)) => {
                Checkpoint::layer(other.site(), (layer + b).checked_sub(a).filter(|_| layer >= a)?)
            }
            _ => return None,
        };
        Some(Self { row: (position, other), from: (before, twin) })
    }

    /// Whether both rows went through the same weights.
    fn same_weights(self) -> bool {
        self.row.1 == self.from.1
    }
}

/// Looks at what is recorded behind a row of `store` that repeats the one at `from`.
pub fn used(lineage: &Lineage, store: &Store, row: (u32, Checkpoint), from: (u32, Checkpoint)) -> Use {
    if row.1.site() == Site::ResultOutput {
        return Use::Unused(None);
    }
    let mut look = Look { lineage, store, seen: BTreeSet::new(), used: None, unused: None };
    look.follow(Pair { row, from });
    match (look.used, look.unused) {
        (Some(by), None) => Use::Used(by),
        (None, Some(not)) => Use::Unused(Some(not)),
        _ => Use::Unknown,
    }
}

struct Look<'a> {
    lineage: &'a Lineage,
    store: &'a Store,
    seen: BTreeSet<Checkpoint>,
    used: Option<Checkpoint>,
    unused: Option<Checkpoint>,
}

impl Look<'_> {
    fn follow(&mut self, pair: Pair) {
        let (position, at) = pair.row;
        let consumers: Vec<Checkpoint> = self
            .store
            .checkpoints(position)
            .filter(|c| *c > at && self.lineage.parents(*c).iter().any(|i| i.checkpoint == at && !i.history))
            .collect();
        for consumer in consumers {
            if self.seen.insert(consumer) {
                self.consumer(pair, consumer);
            }
        }
    }

    /// Whether `consumer` follows from the pair's row.
    fn consumer(&mut self, pair: Pair, consumer: Checkpoint) {
        let position = pair.row.0;
        let twin = pair.of(consumer);
        let repeats = twin.is_some_and(|t| self.same_bits(t));
        match self.lineage.kind(consumer) {
            Kind::Add => {
                let inputs = self.lineage.parents(consumer);
                let others = inputs.iter().map(|i| i.checkpoint).filter(|c| *c != pair.row.1);
                let others: Option<Vec<Vec<f32>>> = others.map(|c| self.read(position, c)).collect();
                let (Some(sum), Some(others), Some(part)) =
                    (self.read(position, consumer), others, self.read(position, pair.row.1))
                else {
                    return;
                };
                match (holds(&sum, &others, &part), repeats) {
                    (Some(false), _) => self.unused = self.unused.or(Some(consumer)),
                    // A sum of repeated parts repeats, whoever repeated them.
                    (Some(true), true) => self.follow_twin(twin),
                    (Some(true), false) => self.used = self.used.or(Some(consumer)),
                    (None, _) => {}
                }
            }
            Kind::Product | Kind::Norm | Kind::Shift | Kind::Gate => {
                if repeats {
                    return self.follow_twin(twin);
                }
                let Some(twin) = twin.filter(|t| t.same_weights() && self.same_inputs(*t)) else { return };
                let (row, from) = (self.read(twin.row.0, consumer), self.read(twin.from.0, consumer));
                let differs = row.zip(from).is_some_and(|(a, b)| distance(&a, &b) > SAME_RESULT);
                if differs {
                    self.unused = self.unused.or(Some(consumer));
                }
            }
            // These depend on the position, and on others.
            Kind::Rotation | Kind::Scores | Kind::SoftMax | Kind::Mix | Kind::Lookup => {}
        }
    }

    fn follow_twin(&mut self, twin: Option<Pair>) {
        if let Some(twin) = twin {
            self.follow(twin);
        }
    }

    fn read(&self, position: u32, checkpoint: Checkpoint) -> Option<Vec<f32>> {
        let mut tensor = Tensor::default();
        let there = self.store.read(position, checkpoint, &mut tensor).unwrap_or(false);
        there.then_some(tensor.values)
    }

    fn same_bits(&self, pair: Pair) -> bool {
        let (a, b) = (self.read(pair.row.0, pair.row.1), self.read(pair.from.0, pair.from.1));
        a.zip(b).is_some_and(|(a, b)| {
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits())
        })
    }

    /// Whether everything that an operation reads is the same in both.
    fn same_inputs(&self, pair: Pair) -> bool {
        let inputs = self.lineage.parents(pair.row.1);
        !inputs.is_empty()
            && inputs.iter().all(|i| !i.history && pair.of(i.checkpoint).is_some_and(|p| self.same_bits(p)))
    }
}

/// Whether `sum` is that of `others` and `part`; `None` where that cannot be told.
fn holds(sum: &[f32], others: &[Vec<f32>], part: &[f32]) -> Option<bool> {
    if others.is_empty() || others.iter().any(|p| p.len() != sum.len()) || part.len() != sum.len() {
        return None;
    }
    let left = |i: usize| {
        let other: f64 = others.iter().map(|p| f64::from(p[i])).sum();
        f64::from(sum[i]) - other - f64::from(part[i])
    };
    let left = norm((0..sum.len()).map(left));
    let (part, sum) = (norm(part.iter().map(|x| f64::from(*x))), norm(sum.iter().map(|x| f64::from(*x))));
    if left <= HOLDS * part {
        Some(true)
    } else if left > LACKS.0 * part && left > LACKS.1 * sum {
        Some(false)
    } else {
        None
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// ‖a − b‖ as a share of the longer of both.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let apart = norm(a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let longer = norm(a.iter().map(|x| f64::from(*x))).max(norm(b.iter().map(|x| f64::from(*x))));
    if a.len() == b.len() { apart / longer } else { f64::INFINITY }
}
