//! Cells summed up over positions, by whatever key a table wants.

use std::collections::BTreeMap;

use crate::compare::metrics::{median, worse};
use crate::compare::{CellMetrics, CellState, Comparison, Severity};
use crate::model::Checkpoint;

/// Figures of several cells.
#[derive(Debug, Default)]
pub(super) struct Row {
    severities: Vec<f32>,
    nmse: Vec<f64>,
    /// Smallest cosine; NaN if any is.
    pub cosine: f64,
    /// The worst cell.
    pub worst: Option<(u32, Checkpoint, Severity)>,
    /// Cells beyond noise.
    pub beyond: usize,
}

impl Row {
    fn add(&mut self, position: u32, checkpoint: Checkpoint, metrics: &CellMetrics, severity: Severity) {
        // The smallest cosine, NaN below all.
        self.cosine =
            if self.severities.is_empty() { metrics.cosine } else { -worse(-self.cosine, -metrics.cosine) };
        let rank = |s: Severity| if s.0.is_nan() { f32::INFINITY } else { s.0 };
        if self.worst.is_none_or(|w| rank(severity) > rank(w.2)) {
            self.worst = Some((position, checkpoint, severity));
        }
        self.severities.push(severity.0);
        self.nmse.push(metrics.nmse);
        self.beyond += usize::from(severity.is_beyond_noise());
    }

    /// Cells.
    pub fn cells(&self) -> usize {
        self.severities.len()
    }

    /// Median severity.
    pub fn severity(&self) -> Severity {
        let values = self.severities.iter().map(|&s| f64::from(s));
        Severity(median(values) as f32)
    }

    /// Median NMSE.
    pub fn nmse(&self) -> f64 {
        median(self.nmse.iter().copied())
    }

    /// Largest NMSE; NaN if any is.
    pub fn worst_nmse(&self) -> f64 {
        self.nmse.iter().copied().fold(0.0, worse)
    }
}

/// Compared cells by `key`, in the key's order.
pub(super) fn by<K: Ord>(comparison: &Comparison, key: impl Fn(Checkpoint) -> K) -> BTreeMap<K, Row> {
    let mut rows: BTreeMap<K, Row> = BTreeMap::new();
    for column in comparison.columns() {
        for cell in &column.cells {
            if let CellState::Compared { metrics, severity, .. } = &cell.state {
                rows.entry(key(cell.checkpoint)).or_default().add(
                    column.position,
                    cell.checkpoint,
                    metrics,
                    *severity,
                );
            }
        }
    }
    rows
}

/// Figures of the logits over all positions.
#[derive(Debug, Default)]
pub(super) struct Logits {
    /// Positions.
    pub n: usize,
    /// Positions where both have the same most likely token.
    pub agree: usize,
    /// Median of KL(reference‖candidate), nats.
    pub kl: f64,
    /// The largest, and where.
    pub worst: Option<(u32, f64)>,
    /// Mean share of the first k that both have.
    pub overlap: f64,
    /// k.
    pub k: u32,
}

/// Figures of the logits; `None` if there are none in full on both sides.
pub(super) fn logits(comparison: &Comparison) -> Option<Logits> {
    let all: Vec<_> = comparison.columns().iter().filter_map(|c| c.logits.map(|l| (c.position, l))).collect();
    let k = all.first()?.1.k;
    Some(Logits {
        n: all.len(),
        agree: all.iter().filter(|(_, l)| l.top1_agrees).count(),
        kl: median(all.iter().map(|(_, l)| l.kl)),
        worst: all
            .iter()
            .map(|(p, l)| (*p, l.kl))
            .reduce(|a, b| if a.1.is_nan() || b.1 <= a.1 { a } else { b }),
        overlap: all.iter().map(|(_, l)| f64::from(l.overlap) / f64::from(l.k.max(1))).sum::<f64>()
            / all.len() as f64,
        k,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_the_worst_and_never_the_median_of_a_few() {
        let mut row = Row::default();
        let at = Checkpoint::LOGITS;
        for (position, nmse) in [0.1, f64::NAN, 0.2].into_iter().enumerate() {
            let metrics = CellMetrics {
                nmse,
                cosine: if nmse.is_nan() { nmse } else { 0.9 },
                max_abs: 0.0,
                max_at: 0,
                nonfinite_reference: 0,
                nonfinite_candidate: 0,
                compared: 1,
                of: 1,
            };
            row.add(position as u32, at, &metrics, Severity(nmse as f32));
        }
        assert!(row.worst_nmse().is_nan() && row.cosine.is_nan());
        assert_eq!(row.nmse(), 0.2);
        assert_eq!(row.beyond, 1);
    }
}
