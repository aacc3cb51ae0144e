//! Values zeroed at random, the others scaled up: dropout that was left on.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::figures::{figure, percent};

/// See the module.
pub struct Dropout;

/// Shares of zeros that make one think of dropout.
const SHARES: std::ops::Range<f64> = 0.005..0.7;

impl Hypothesis for Dropout {
    fn id(&self) -> &'static str {
        "dropout"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !case.is_direct() {
            return Vec::new();
        }
        let (mut zeros, mut all, mut both, mut own) = (0_usize, 0_usize, 0.0, 0.0);
        for (_, recorded, right) in case.rows() {
            for (&a, &b) in recorded.iter().zip(right).filter(|(_, b)| **b != 0.0) {
                all += 1;
                if a == 0.0 {
                    zeros += 1;
                } else {
                    both += f64::from(a) * b;
                    own += b * b;
                }
            }
        }
        let (share, factor) = (zeros as f64 / all as f64, both / own);
        let scaled = (factor * (1.0 - share) - 1.0).abs() < 0.2;
        if !SHARES.contains(&share) || !(scaled || (factor - 1.0).abs() < 1e-3) {
            return Vec::new();
        }
        let Ok(table) = case.traced().table(case.target) else { return Vec::new() };
        let post = move |position: u32, out: &mut [f64]| {
            let Some(row) = table.row(position) else { return };
            for (out, &x) in out.iter_mut().zip(row) {
                *out = if x == 0.0 { 0.0 } else { *out * factor };
            }
        };
        let rest = if (factor - 1.0).abs() < 1e-3 {
            "the others are right".to_owned()
        } else {
            format!("the others are multiplied by {}, as dropout does that was left on", figure(factor))
        };
        let says = format!("{} of its values are zero without a pattern, {rest}", percent(share));
        vec![Trial::new(0, says, Change { post: Some(Arc::new(post)), ..case.with(|_| {}) })]
    }
}
