//! The same vector is added at every position: a bias that the model has not.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};

/// See the module.
pub struct Offset;

impl Hypothesis for Offset {
    fn id(&self) -> &'static str {
        "constant-offset"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if case.node.op.grows() || !case.is_output() {
            return Vec::new();
        }
        let mut rows = case.rows();
        // One position fixes the vector, so that others can contradict it.
        let (Some((_, recorded, expected)), true) = (rows.next(), rows.next().is_some()) else {
            return Vec::new();
        };
        let offset: Vec<f64> = recorded.iter().zip(expected).map(|(&a, b)| f64::from(a) - b).collect();
        if offset.iter().any(|x| !x.is_finite()) {
            return Vec::new();
        }
        let mut change = case.with(|_| {});
        change.post = Some(Arc::new(move |_, out| {
            for (out, b) in out.iter_mut().zip(&offset) {
                *out += b;
            }
        }));
        vec![Trial::new(0, "the same vector is added at every position".into(), change)]
    }
}
