//! Rows that repeat earlier ones, kept until the pass is over: what was recorded behind them tells whether the
//! engine went on with them, and that takes the whole trace.

use std::path::Path;

use super::result::Analysis;
use crate::compare::lineage::Lineage;
use crate::compare::repeats::{Use, used};
use crate::garbage::{Blame, Finding, Repeat, STALE};
use crate::trace::Store;

/// Rows kept; of more the first pass has the last word.
const KEPT: usize = 4096;

/// One of them.
struct Row {
    position: u32,
    finding: Finding,
    repeat: Repeat,
    /// Who was blamed for the row for something else that it shows.
    blamed: Option<Blame>,
}

/// Those of a run.
#[derive(Default)]
pub struct Repeated(Vec<Row>);

impl Repeated {
    /// Takes the finding that a row repeats another out of `findings`, if there is room.
    pub fn take(&mut self, position: u32, repeat: Option<Repeat>, findings: &mut Vec<Finding>) {
        let Some(repeat) = repeat.filter(|_| self.0.len() < KEPT) else { return };
        let Some(at) = findings.iter().position(|f| f.class == STALE) else { return };
        let finding = findings.remove(at);
        let blamed = Analysis::blamed(findings);
        self.0.push(Row { position, finding, repeat, blamed });
    }

    /// Adds them to `analysis`: as they are, or, with the trace at `path`, by what was recorded behind them.
    pub fn settle(self, path: Option<&Path>, analysis: &mut Analysis) {
        let store = path.filter(|_| !self.0.is_empty()).and_then(|path| Store::load(path).ok());
        let mut lineage = Lineage::default();
        if let Some(store) = &store {
            for position in store.positions() {
                store.checkpoints(position).for_each(|checkpoint| {
                    lineage.insert(checkpoint);
                });
            }
        }
        for mut row in self.0 {
            if let Some(store) = &store {
                let at = row.finding.checkpoint;
                let found =
                    used(&lineage, store, (row.position, at), (row.repeat.position, row.repeat.checkpoint));
                // One run alone does not tell an engine's mistake from an honest repeat.
                if found != Use::Unknown {
                    found.settle(&mut row.finding, Blame::Nobody);
                }
            }
            analysis.add_late(row.position, row.finding, row.blamed);
        }
    }
}
