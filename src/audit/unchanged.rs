//! What a stretch holds without any change, kept from one trial to the next: a change touches only what comes
//! after it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use super::AuditError;
use super::change::Change;
use super::stretch::Stretch;
use super::traced::Table;
use crate::model::{Graph, NodeId};

/// Rows of nodes inside a stretch.
pub type Inside = HashMap<NodeId, Arc<Table>>;

/// Nothing is kept of stretches with more values than this.
const LARGEST: usize = 1 << 26;

/// Kept rows of one stretch in one arithmetic, by the positions for which they were made.
#[derive(Default)]
pub struct Unchanged(Mutex<HashMap<Vec<u32>, Arc<Inside>>>);

impl Unchanged {
    /// Rows of the nodes that `change` does not touch; `make` makes those of all nodes.
    pub fn beside(
        &self,
        change: &Change,
        graph: &Graph,
        stretch: &Stretch,
        positions: &[u32],
        make: impl FnOnce() -> Result<Inside, AuditError>,
    ) -> Result<Inside, AuditError> {
        let last = positions.iter().max().map_or(0, |&p| p as usize + 1);
        let values: usize = stretch.nodes.iter().map(|&id| graph.node(id).width * last).sum();
        // A change that reads other positions needs more rows than there are.
        let elsewhere = |change: &Change| change.redirect.is_some() || change.node.departure.lag > 0;
        if values > LARGEST || elsewhere(change) || change.also.iter().any(elsewhere) {
            return Ok(Inside::new());
        }
        let kept = self.0.lock().ok().and_then(|kept| kept.get(positions).cloned());
        let kept = if let Some(kept) = kept {
            kept
        } else {
            // Made without the lock: whoever makes it works on other trials meanwhile.
            let made = Arc::new(make()?);
            if let Ok(mut kept) = self.0.lock() {
                kept.insert(positions.to_vec(), Arc::clone(&made));
            }
            made
        };
        let mut touched: BTreeSet<NodeId> = BTreeSet::new();
        for &id in &stretch.nodes {
            let node = graph.node(id);
            if change.on(id).is_some() || node.inputs.iter().any(|input| touched.contains(input)) {
                touched.insert(id);
            }
        }
        Ok(kept
            .iter()
            .filter(|(id, _)| !touched.contains(id))
            .map(|(id, table)| (*id, Arc::clone(table)))
            .collect())
    }
}
