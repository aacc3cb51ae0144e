//! Garbage by run: the share of positions whose recorded values no engine computes.

use std::collections::BTreeMap;

use super::axis::Scale;
use super::bars::{BarGroup, BarsData, Unit};
use crate::compare::Comparison;
use crate::garbage::{Blame, Finding};
use crate::model::Checkpoint;
use crate::text::safe_short;
use crate::trace::Store;

/// A row of which only a part was recorded: what there is of it was computed.
const PARTIAL: &str = "truncated";

/// Garbage of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunGarbage {
    /// The model, or the file if it names none.
    pub name: String,
    /// The file.
    pub file: String,
    /// Positions recorded.
    pub positions: usize,
    /// Positions with garbage in the logits.
    pub logits: usize,
    /// Positions with garbage anywhere.
    pub anywhere: usize,
    /// Positions by class.
    pub classes: BTreeMap<&'static str, usize>,
    /// The rate that somebody else published for the same model.
    pub published: Option<f64>,
}

impl RunGarbage {
    /// Counts what `comparison`, whose reference is `store`, found in the reference.
    pub fn of(store: &Store, comparison: &Comparison, published: Option<f64>) -> Self {
        let file = store.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let model = store.header().map(|h| h.model.name.clone()).filter(|n| !n.is_empty());
        let mut run = Self {
            name: safe_short(model.as_deref().unwrap_or(&file), 60),
            file: safe_short(&file, 60),
            positions: store.positions().count(),
            published,
            ..Self::default()
        };
        for column in comparison.columns() {
            // What nobody is to blame for, a padded vocabulary, is no garbage.
            let is_garbage = |f: &&Finding| f.blame != Blame::Nobody && f.class != PARTIAL;
            let findings = || column.garbage_reference.iter().filter(is_garbage);
            run.anywhere += usize::from(findings().next().is_some());
            run.logits += usize::from(findings().any(|f| f.checkpoint == Checkpoint::LOGITS));
            let mut classes: Vec<&'static str> = findings().map(|f| f.class).collect();
            classes.sort_unstable();
            classes.dedup();
            for class in classes {
                *run.classes.entry(class).or_default() += 1;
            }
        }
        run
    }

    fn rate(&self, n: usize) -> Option<f64> {
        (self.positions > 0).then(|| n as f64 / self.positions as f64)
    }

    /// Its name, its file if `others` share the name, and what was found.
    fn label(&self, others: &[Self]) -> String {
        let shared = others.iter().filter(|o| o.name == self.name).count() > 1;
        let mut label = if shared { self.file.clone() } else { self.name.clone() };
        let classes: Vec<&str> = self.classes.keys().copied().collect();
        if !classes.is_empty() {
            label = format!("{label}: {}", classes.join(", "));
        }
        label
    }
}

/// A group of bars a run.
pub fn garbage_bars(runs: &[RunGarbage]) -> BarsData {
    let with_published = runs.iter().any(|r| r.published.is_some());
    let mut series = vec!["garbage in the logits".to_owned(), "garbage at any checkpoint".to_owned()];
    if with_published {
        series.insert(0, "published".to_owned());
    }
    let group = |run: &RunGarbage| {
        let mut values = vec![run.rate(run.logits), run.rate(run.anywhere)];
        if with_published {
            values.insert(0, run.published);
        }
        BarGroup { label: run.label(runs), values }
    };
    BarsData {
        title: "garbage by run".to_owned(),
        axis: "share of positions whose recorded values no engine computes".to_owned(),
        scale: Scale::Linear,
        unit: Unit::Percent,
        series,
        groups: runs.iter().map(group).collect(),
        limit: None,
    }
}
