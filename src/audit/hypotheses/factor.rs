//! Everything is off by one constant factor.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::figures::figure;

/// See the module.
pub struct Factor;

/// Least-squares factor between what was recorded and what is right, over all positions looked at.
pub fn factor(case: &Case<'_, '_>) -> Option<f64> {
    let (mut both, mut own) = (0.0, 0.0);
    for (_, recorded, expected) in case.rows() {
        for (&a, b) in recorded.iter().zip(expected) {
            both += f64::from(a) * b;
            own += b * b;
        }
    }
    Some(both / own).filter(|f| f.is_finite())
}

/// The factor in words, where it is one that people write.
pub fn name(case: &Case<'_, '_>, factor: f64) -> String {
    let graph = case.graph();
    let attention = graph.nodes.iter().find_map(|n| n.op.attention());
    let mut known: Vec<(f64, String)> = vec![
        (2.0, "2".into()),
        ((graph.n_embd as f64).sqrt(), "√n_embd".into()),
        (graph.n_embd as f64, "n_embd".into()),
        (graph.n_layer as f64, "n_layer".into()),
        (2f64.sqrt(), "√2".into()),
    ];
    if let Some(a) = attention {
        known.push(((a.head_dim as f64).sqrt(), "√head_dim".into()));
        known.push((a.head_dim as f64, "head_dim".into()));
        known.push(((a.n_head as f64).sqrt(), "√n_head".into()));
        known.push((a.n_head as f64, "n_head".into()));
        known.push(((a.n_head as f64 / a.n_head_kv as f64), "heads per key head".into()));
    }
    let near = |x: f64| (factor / x - 1.0).abs() < 1e-5;
    for (x, what) in known.into_iter().filter(|(x, _)| *x != 1.0) {
        if near(x) {
            return format!("{} ({what})", figure(factor));
        }
        if near(1.0 / x) {
            return format!("{} (1/{what})", figure(factor));
        }
    }
    figure(factor)
}

impl Hypothesis for Factor {
    fn id(&self) -> &'static str {
        "constant-factor"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Some(factor) = factor(case) else { return Vec::new() };
        let mut change = case.with(|_| {});
        change.post = Some(Arc::new(move |_, out| {
            for out in out {
                *out *= factor;
            }
        }));
        let says = if (factor - 1.0).abs() < 1e-3 {
            let side = if factor > 1.0 { "large" } else { "small" };
            format!("everything is too {side} by {} of itself", figure((factor - 1.0).abs()))
        } else {
            format!("everything is multiplied by {}", name(case, factor))
        };
        vec![Trial::new(0, says, change)]
    }
}
