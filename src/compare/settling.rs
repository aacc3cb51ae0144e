//! Looking at all positions together, wherever there is time for it: what that needs is shared and not copied,
//! so that a comparison goes on taking in positions meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::column::{Column, Summary};
use super::evaluate::{Rules, evaluate};
use super::evidence::{Entry, NodeStats};
use super::figures::Figures;
use crate::model::Checkpoint;

/// Everything that a look at all positions needs.
#[derive(Debug)]
pub struct Settling {
    pub(super) era: Arc<()>,
    pub(super) rules: Rules,
    pub(super) stats: BTreeMap<Checkpoint, NodeStats>,
    /// By position, ascending.
    pub(super) columns: Vec<(Arc<Column>, Arc<Figures>)>,
}

/// What such a look says.
#[derive(Debug)]
pub struct Settled {
    pub(super) era: Arc<()>,
    pub(super) scale: f32,
    pub(super) entry: Option<Entry>,
    pub(super) entry_shows: bool,
    pub(super) history: HashMap<Checkpoint, f32>,
    pub(super) stats: BTreeMap<Checkpoint, NodeStats>,
    /// What each position was, what it is now, and what it says.
    pub(super) columns: Vec<(Arc<Column>, Arc<Column>, Summary)>,
}

impl Settling {
    /// Looks at them; takes time that grows with the number of cells.
    pub fn run(self) -> Settled {
        let Self { era, mut rules, mut stats, columns } = self;
        evaluate(&mut rules, &mut stats, &columns.iter().map(|(_, figures)| &**figures));
        let judged = columns.into_iter().map(|(before, figures)| {
            let (now, summary) = judge(&rules, &before, &figures);
            (before, now, summary)
        });
        let columns = judged.collect();
        let Rules { scale, entry, entry_shows, history, .. } = rules;
        Settled { era, scale, entry, entry_shows, history, stats, columns }
    }
}

/// A column under these rules. One that stays as it is keeps its address: whoever shows it need not redraw.
pub(super) fn judge(rules: &Rules, column: &Arc<Column>, figures: &Figures) -> (Arc<Column>, Summary) {
    let (judgements, summary) = rules.apply(column, figures);
    let now = match column.cells.judged(&judgements) {
        Some(cells) => Arc::new(Column {
            cells,
            garbage_reference: column.garbage_reference.clone(),
            garbage_candidate: column.garbage_candidate.clone(),
            ..**column
        }),
        None => Arc::clone(column),
    };
    (now, summary)
}
