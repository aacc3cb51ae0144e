//! What was recorded of a node, and what the engine went on with, need not be the same. The operations that read
//! the node bear witness: they follow from what was recorded, from what is right, or from neither.

use std::collections::BTreeMap;

use super::AuditError;
use super::auditor::Auditor;
use super::choice::{Choice, House};
use super::floor::TOO_WIDE;
use super::judge::Deviation;
use super::machine::Evaluation;
use super::stretch::{Reach, Stretch};
use crate::model::{Checkpoint, NodeId};

/// What the readers of a node show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Nothing: none was recorded, or what they hold tells nothing.
    Silent,
    /// The engine went on with what was recorded.
    Used,
    /// The engine went on with what is right.
    Right,
    /// They follow from neither.
    Neither,
}

/// Nodes after a node among which its readers are looked for.
const REACH: usize = 64;
/// A reader must be off from what was recorded by more than going around the node may cost, and by this many times
/// what it is off then, or it shows nothing.
const CLEARLY: f64 = 4.0;

impl Auditor<'_> {
    /// Asks those that read `id` at `positions`.
    pub fn witness(&self, id: NodeId, positions: &[u32]) -> Result<Witness, AuditError> {
        let (graph, traced) = (self.graph(), self.traced());
        let (mut right, mut neither) = (false, false);
        let last = graph.nodes.len().min(id.index() + REACH);
        let asked = |id: &NodeId| self.is_asked(graph.node(*id));
        for reader in (id.index() + 1..last).map(|index| NodeId(index as u32)).filter(asked) {
            let recorded = traced.any(reader);
            let at: Vec<u32> = positions.iter().copied().filter(|p| recorded.contains(p)).collect();
            let Some(&first) = at.first() else { continue };
            let (stretch, choice) = self.as_judged(reader, first);
            if !stretch.sources.contains(&id) || self.repeats(reader, &at) {
                continue;
            }
            let from_recorded = self.deviations(&stretch, choice, &at)?;
            let explained =
                |all: &BTreeMap<u32, Deviation>| !all.is_empty() && all.values().all(Deviation::is_explained);
            let follows = explained(&from_recorded);
            if follows && !matches!(stretch.reach, Reach::Bridged(_)) {
                return Ok(Witness::Used);
            }
            let around = self.around(reader, id, &at)?;
            let follows_right = explained(&around);
            let apart = around.iter().all(|(position, right)| {
                let near = |recorded: &Deviation| {
                    recorded.relative < right.floor || recorded.relative < CLEARLY * right.relative
                };
                right.floor <= TOO_WIDE && !from_recorded.get(position).is_some_and(near)
            });
            match (follows, follows_right) {
                (true, false) => return Ok(Witness::Used),
                (false, true) => right |= apart,
                (false, false) => neither |= !around.is_empty() && !from_recorded.is_empty(),
                (true, true) => {}
            }
        }
        Ok(match (right, neither) {
            (true, _) => Witness::Right,
            (false, true) => Witness::Neither,
            (false, false) => Witness::Silent,
        })
    }

    /// How far `reader` is from what is recomputed around `hidden`, as if that had not been recorded.
    pub fn around(
        &self,
        reader: NodeId,
        hidden: NodeId,
        positions: &[u32],
    ) -> Result<BTreeMap<u32, Deviation>, AuditError> {
        let stretch = Stretch::around(self.graph(), self.traced(), reader, Some(hidden));
        self.deviations(&stretch, Choice::House(House::AsRecorded), positions)
    }

    fn deviations(
        &self,
        stretch: &Stretch,
        choice: Choice,
        positions: &[u32],
    ) -> Result<BTreeMap<u32, Deviation>, AuditError> {
        let bridges = self.bridges(stretch, choice, positions, None)?;
        let judged = self.judge(stretch, choice, positions, Evaluation::default(), bridges.as_ref())?;
        Ok(judged.into_iter().map(|judged| (judged.position, judged.deviation)).collect())
    }

    /// Whether the rows of a node are those of another position, or of the same site in another layer: whoever
    /// recorded that bears no witness.
    fn repeats(&self, id: NodeId, positions: &[u32]) -> bool {
        let (graph, traced) = (self.graph(), self.traced());
        let Ok(table) = traced.table(id) else { return true };
        let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let own = |p: &u32| table.row(*p).filter(|row| row.iter().any(|x| *x != 0.0)).map(bits);
        let at_another_position =
            |p: &u32| own(p).is_some_and(|own| table.rows.iter().any(|(q, row)| q != p && bits(row) == own));
        if positions.iter().any(at_another_position) {
            return true;
        }
        let site = |id: NodeId| graph.node(id).checkpoint.map(Checkpoint::site);
        let twins = (0..graph.nodes.len()).map(|index| NodeId(index as u32));
        let mut twins = twins.filter(|twin| *twin != id && site(*twin).is_some() && site(*twin) == site(id));
        twins.any(|twin| {
            let Ok(other) = traced.table(twin) else { return false };
            positions.iter().all(|p| own(p).is_some_and(|own| other.row(*p).map(bits) == Some(own)))
        })
    }
}
