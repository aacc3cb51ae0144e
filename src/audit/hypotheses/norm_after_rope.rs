//! A norm of single heads that belongs before RoPE, applied after it.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::engine::cpu::kernel::Moment;
use crate::engine::cpu::ops;
use crate::model::Op;

/// See the module.
pub struct NormAfterRope;

impl Hypothesis for NormAfterRope {
    fn id(&self) -> &'static str {
        "norm-after-rope"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Op::Rope(rope) = &case.node.op else { return Vec::new() };
        let Some(&before) = case.node.inputs.first() else { return Vec::new() };
        let norm = case.graph().node(before);
        let Op::RmsNorm { eps, group } = norm.op else { return Vec::new() };
        let (Ok(turns), Ok(norms)) = (case.machine().bound(case.target), case.machine().bound(before)) else {
            return Vec::new();
        };
        let rope = rope.clone();
        let execute = move |_: &_, at: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
            let mut turned = vec![0.0; inputs[0].len()];
            ops::rope(inputs[0], &rope, turns.frequencies(), at.position, &mut turned);
            out.resize(turned.len(), 0.0);
            ops::rms_norm(&turned, eps, group, norms.vector(), out);
        };
        let mut change = case.executed(Arc::new(execute));
        // Where the norm was not recorded, it is not made before, either.
        let skip = |_: &_, _: Moment, inputs: &[&[f64]], out: &mut Vec<f64>| {
            out.clear();
            out.extend_from_slice(inputs[0]);
        };
        change.also.push(Change { execute: Some(Arc::new(skip)), ..Change::to(before, norm.clone()) });
        vec![Trial::new(0, "the norm of the heads is applied after RoPE instead of before".into(), change)]
    }
}
