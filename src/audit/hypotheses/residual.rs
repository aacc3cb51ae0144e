//! A residual sum with a part left out, doubled or subtracted.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::model::Op;

/// See the module.
pub struct Residual;

impl Hypothesis for Residual {
    fn id(&self) -> &'static str {
        "residual"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !matches!(case.node.op, Op::Add) {
            return Vec::new();
        }
        let name = |i: usize| {
            let id = case.node.inputs[i];
            case.graph().node(id).checkpoint.map_or_else(|| "a part".to_owned(), |c| c.to_string())
        };
        let weighted = [
            (0.0, 1.0, format!("{} is not added", name(0))),
            (1.0, 0.0, format!("{} is not added", name(1))),
            (2.0, 1.0, format!("{} is added twice", name(0))),
            (1.0, 2.0, format!("{} is added twice", name(1))),
            (-1.0, 1.0, format!("{} is subtracted", name(0))),
            (1.0, -1.0, format!("{} is subtracted", name(1))),
        ];
        weighted
            .into_iter()
            .map(|(x, y, says)| {
                let execute = move |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                    out.clear();
                    out.extend(inputs[0].iter().zip(inputs[1]).map(|(a, b)| x * a + y * b));
                };
                Trial::new(26, says, case.executed(Arc::new(execute)))
            })
            .collect()
    }
}
