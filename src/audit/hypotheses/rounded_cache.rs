//! Keys or values kept in fewer bits than any arithmetic that is tried.

use std::sync::Arc;

use super::rounded_weights::{E4M3, E5M2, short};
use super::{Case, Hypothesis, Trial};
use crate::engine::cpu::kernel::Moment;
use crate::model::Op;

/// See the module.
pub struct RoundedCache;

type Round = fn(f64) -> f64;

const FORMATS: [(&str, Round); 3] = [
    ("f8 (e4m3)", |x| short(x, 3, -6, E4M3)),
    ("f8 (e5m2)", |x| short(x, 2, -14, E5M2)),
    ("bf16", |x| half::bf16::from_f64(x).to_f64()),
];

impl Hypothesis for RoundedCache {
    fn id(&self) -> &'static str {
        "rounded-cache"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let what = match case.node.op {
            Op::Scores(_) => "keys",
            Op::Mix(_) => "values",
            _ => return Vec::new(),
        };
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        FORMATS
            .iter()
            .map(|&(format, round)| {
                let bound = Arc::clone(&bound);
                let execute = move |node: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
                    let rounded: Vec<f64> = inputs[1].iter().map(|x| round(*x)).collect();
                    bound.run(node, at, &[inputs[0], &rounded], out);
                };
                let says = format!("the cache keeps {what} in {format}");
                Trial::new(0, says, case.executed(Arc::new(execute)))
            })
            .collect()
    }
}
