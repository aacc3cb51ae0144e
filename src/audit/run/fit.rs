//! Which arithmetic each kind of node was computed in, found on a few cells.

use std::collections::{BTreeMap, BTreeSet};

use super::Task;
use crate::audit::AuditError;
use crate::audit::arithmetic::{EXACT, candidates};
use crate::audit::auditor::{Auditor, WIDE};
use crate::audit::choice::{Choice, House};
use crate::audit::kind::Kind;
use crate::audit::machine::Evaluation;
use crate::audit::stretch::{Reach, Stretch};
/// Nodes and positions that a kind's arithmetic is found on.
const SAMPLE_NODES: usize = 3;

const SAMPLE_POSITIONS: usize = 3;

/// Values of a product that are enough to tell one arithmetic from another.
const SAMPLE_ROWS: usize = 256;

/// Positions of one task that are of one kind.
type Cells<'t> = (&'t Task, Vec<u32>);

impl Auditor<'_> {
    /// Every arithmetic that a stretch may have been computed in, the expected one first.
    pub(super) fn options(&self, stretch: &Stretch, columns: Option<u32>) -> Vec<Choice> {
        if matches!(stretch.reach, Reach::Bridged(_)) {
            return House::ALL.map(Choice::House).to_vec();
        }
        let node = self.graph().node(stretch.output());
        let rules = candidates(node, &self.circumstance(stretch, columns));
        rules.into_iter().map(Choice::Rule).collect()
    }

    /// Finds each kind's arithmetic, of directly audited kinds first.
    pub(super) fn fit(&mut self, tasks: &[Task]) -> Result<(), AuditError> {
        let mut cells: BTreeMap<Kind, Vec<Cells<'_>>> = BTreeMap::new();
        for task in tasks {
            let mut of_kind: BTreeMap<Kind, Vec<u32>> = BTreeMap::new();
            for &position in &task.positions {
                of_kind.entry(self.kind(&task.stretch, position)).or_default().push(position);
            }
            for (kind, positions) in of_kind {
                cells.entry(kind).or_default().push((task, positions));
            }
        }
        let mut kinds: Vec<(Kind, Vec<Cells<'_>>)> = cells.into_iter().collect();
        kinds.sort_by_key(|(kind, _)| (kind.bridged, *kind));
        for (kind, tasks) in kinds {
            let choice = self.fit_kind(&tasks)?;
            if let Choice::Rule(rule) = choice
                && !kind.bridged
            {
                self.habits.found.insert(kind, rule);
            }
            self.choices.insert(kind, choice);
        }
        Ok(())
    }

    pub(super) fn fit_kind(&self, tasks: &[Cells<'_>]) -> Result<Choice, AuditError> {
        let sample: Vec<(&Stretch, Vec<u32>)> =
            spread(tasks, SAMPLE_NODES).map(|(task, p)| (&task.stretch, late(p))).collect();
        let Some((first, positions)) = sample.first() else { return Ok(Choice::Rule(&EXACT)) };
        let columns = positions.first().and_then(|&p| self.traced().columns(p));
        let options = self.options(first, columns);
        let bridged = matches!(first.reach, Reach::Bridged(_));
        let mut best: Option<(f64, Choice)> = None;
        let expected = options.first().copied().unwrap_or(Choice::Rule(&EXACT));
        if options.len() == 1 {
            return Ok(expected);
        }
        for choice in options {
            self.go_on()?;
            let mut severities = Vec::new();
            for (stretch, positions) in &sample {
                let how = Evaluation { rows: Some(SAMPLE_ROWS), ..Evaluation::default() };
                for judged in self.judge(stretch, choice, positions, how, None)? {
                    severities.push(if bridged {
                        judged.deviation.relative
                    } else {
                        judged.deviation.severity
                    });
                }
            }
            if severities.is_empty() {
                continue;
            }
            severities.sort_by(f64::total_cmp);
            let median = severities[severities.len() / 2];
            // A wide floor is no merit: a rule that has one must not win by it.
            let wide = self.own_floor(first, choice).is_some_and(|f| f > WIDE);
            let score = if wide { median.max(0.5) } else { median };
            // The one that is expected stays unless another is clearly nearer.
            let margin = if best.is_none() { 1.0 } else { 0.5 };
            if best.is_none_or(|(least, _)| score < least * margin) {
                best = Some((score, choice));
            }
            if !bridged && !wide && score <= 0.3 {
                break;
            }
        }
        // If nothing comes near, the nodes are held to what the header leads one to expect.
        let none_fits = best.is_some_and(|(score, _)| !bridged && !(score <= 1.0));
        Ok(if none_fits { expected } else { best.map_or(expected, |(_, choice)| choice) })
    }
}

/// `n` items spread over all of them.
fn spread<T>(items: &[T], n: usize) -> impl Iterator<Item = &T> {
    let n = n.min(items.len());
    (0..n).map(move |i| &items[if n == 1 { 0 } else { i * (items.len() - 1) / (n - 1) }])
}

/// A few positions, late ones first: early ones have little to attend to.
fn late(positions: &[u32]) -> Vec<u32> {
    let mut picked: BTreeSet<u32> = BTreeSet::new();
    for i in 0..SAMPLE_POSITIONS {
        let at = (positions.len() * (SAMPLE_POSITIONS - i)).div_ceil(SAMPLE_POSITIONS) - 1;
        picked.insert(positions[at.min(positions.len() - 1)]);
    }
    picked.into_iter().collect()
}
