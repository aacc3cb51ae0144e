//! The recorder wrote something that no engine computes: freed memory, fill patterns, truncated values.

use super::{Case, Hypothesis, Observation};
use crate::garbage::{Blame, Sample, inspect};
use crate::trace::Tensor;

/// See the module.
pub struct Garbage;

/// The class of what glibc leaves in freed memory.
const HEAP: &str = "heap-pointer";

/// A class is believed from here on.
const SURE: f32 = 0.5;

impl Hypothesis for Garbage {
    fn id(&self) -> &'static str {
        "garbage"
    }
    fn blames_instrument(&self) -> bool {
        true
    }
    fn observe(&self, case: &Case<'_, '_>) -> Option<Observation> {
        let checkpoint = case.node.checkpoint?;
        let mut says = None;
        let mut rows = 0;
        for (_, recorded, _) in case.rows() {
            let tensor =
                Tensor { shape: vec![recorded.len() as u32], values: recorded.to_vec(), exact: true };
            let found = inspect(&Sample::new(checkpoint, &tensor));
            let worst = found
                .into_iter()
                .filter(|f| f.blame == Blame::Instrument && f.confidence >= SURE)
                .max_by(|a, b| a.confidence.total_cmp(&b.confidence))?;
            rows += 1;
            says.get_or_insert_with(|| (worst.class, format!("{}: {}", worst.class, worst.evidence)));
        }
        says.filter(|_| rows > 0).map(|(class, says)| {
            let mistake = (class == HEAP).then_some("freed-memory");
            Observation { mistake, says, left: f64::NAN }
        })
    }
}
