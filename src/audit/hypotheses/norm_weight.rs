//! A norm's weight left out, squared, offset by one or rounded; the other kind of norm; another length.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::engine::cpu::ops;
use crate::model::Op;

/// See the module.
pub struct NormWeight;

impl Hypothesis for NormWeight {
    fn id(&self) -> &'static str {
        "norm-weight"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let op = case.node.op.clone();
        if !matches!(op, Op::RmsNorm { .. } | Op::LayerNorm { .. }) {
            return Vec::new();
        }
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let weight: Vec<f32> = bound.vector().unwrap_or_default().to_vec();
        let bias: Vec<f32> = bound.bias().unwrap_or_default().to_vec();
        let head = case.graph().nodes.iter().find_map(|n| n.op.attention()).map_or(0, |a| a.head_dim);
        let width = case.node.width;
        let mut trials = Vec::new();
        let mut with = |says: &str, op: Op, weight: Option<Vec<f32>>, bias: Option<Vec<f32>>| {
            let execute = move |_: &_, _, inputs: &[&[f64]], out: &mut Vec<f64>| {
                out.resize(inputs[0].len(), 0.0);
                match op {
                    Op::RmsNorm { eps, group } => {
                        ops::rms_norm(inputs[0], eps, group, weight.as_deref(), out);
                        if let Some(bias) = &bias {
                            out.iter_mut().zip(bias).for_each(|(x, b)| *x += f64::from(*b));
                        }
                    }
                    Op::LayerNorm { eps } => {
                        ops::layer_norm(inputs[0], eps, weight.as_deref(), bias.as_deref(), out);
                    }
                    _ => {}
                }
            };
            trials.push(Trial::new(6, says.to_owned(), case.executed(Arc::new(execute))));
        };
        let some_bias = (!bias.is_empty()).then(|| bias.clone());
        if !weight.is_empty() {
            let changed = |f: &dyn Fn(f32) -> f32| Some(weight.iter().map(|&w| f(w)).collect::<Vec<f32>>());
            with("the norm's weight is not applied", op.clone(), None, some_bias.clone());
            with("the norm's weight is applied twice", op.clone(), changed(&|w| w * w), some_bias.clone());
            with("the norm multiplies by 1 + weight", op.clone(), changed(&|w| w + 1.0), some_bias.clone());
            with("the norm multiplies by weight − 1", op.clone(), changed(&|w| w - 1.0), some_bias.clone());
            let bf16 = changed(&|w| half::bf16::from_f32(w).to_f32());
            with("the norm's weight is rounded to bf16", op.clone(), bf16, some_bias.clone());
            let f16 = changed(&|w| half::f16::from_f32(w).to_f32());
            with("the norm's weight is rounded to f16", op.clone(), f16, some_bias.clone());
        }
        let weights = (!weight.is_empty()).then(|| weight.clone());
        match op {
            Op::RmsNorm { eps, group } => {
                let op = Op::LayerNorm { eps };
                if group == width {
                    with("LayerNorm in place of RMSNorm", op, weights.clone(), None);
                }
                for length in [width, head, width / 2]
                    .into_iter()
                    .filter(|&l| l > 0 && l != group && width.is_multiple_of(l))
                {
                    let says = format!("the norm goes over {length} values where the model says {group}");
                    with(&says, Op::RmsNorm { eps, group: length }, weights.clone(), None);
                }
            }
            Op::LayerNorm { eps } => {
                let rms = Op::RmsNorm { eps, group: width };
                with("RMSNorm in place of LayerNorm", rms.clone(), weights.clone(), some_bias.clone());
                with("RMSNorm without bias in place of LayerNorm", rms, weights, None);
            }
            _ => {}
        }
        trials
    }
}
