//! Every matrix product adds more error than the rounding of its inputs explains: arithmetic of too
//! low a precision throughout, where no single layer stands out.

use super::concentration::median;
use super::{Context, Entry, NodeStats, Test};
use crate::compare::lineage::Kind;
use crate::model::Checkpoint;

pub(super) struct Precision;

/// Fewer products do not speak for the rest.
const FEWEST: usize = 6;
/// ln of the median product's error over its expectation; correct pairs showed −1.1 to 0.1.
const LIMIT: f64 = 0.7;

impl Test for Precision {
    fn check(&self, checkpoint: Checkpoint, stats: &NodeStats, context: &Context<'_>) -> Option<Entry> {
        let is_product = |c: Checkpoint| context.lineage.kind(c) == Kind::Product;
        if !is_product(checkpoint) || stats.log_excess? < LIMIT {
            return None;
        }
        let all: Vec<f64> =
            context.nodes.iter().filter(|(c, _)| is_product(**c)).filter_map(|(_, s)| s.log_excess).collect();
        let usual = median(all.iter().copied());
        (all.len() >= FEWEST && usual > LIMIT).then(|| Entry {
            checkpoint,
            strength: usual / LIMIT,
            evidence: format!(
                "the {} matrix products add {:.1} times the error that the rounding of their inputs explains (median): arithmetic of too low a precision throughout",
                all.len(),
                usual.exp()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::compare::lineage::Lineage;

    fn entries(log_excess: f64) -> usize {
        let mut lineage = Lineage::default();
        let mut nodes = BTreeMap::new();
        for layer in 0..4 {
            for name in ["Qcur", "Vcur", "ffn_out"] {
                let at: Checkpoint = format!("{name}-{layer}").parse().unwrap();
                lineage.insert(at);
                nodes.insert(
                    at,
                    NodeStats { n: 8, log_excess: Some(log_excess), excess_n: 8, ..NodeStats::default() },
                );
            }
        }
        let context = Context { nodes: &nodes, lineage: &lineage };
        nodes.iter().filter(|(c, s)| Precision.check(**c, s, &context).is_some()).count()
    }

    #[test]
    fn products_that_all_lose_three_times_as_much_are_found_and_honest_ones_are_not() {
        assert_eq!(entries(3.0_f64.ln()), 12);
        assert_eq!(entries(1.2_f64.ln()), 0);
        assert_eq!(entries(-1.0), 0);
    }
}
