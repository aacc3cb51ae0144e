//! A bias left out, added twice or subtracted.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::model::Op;

/// See the module.
pub struct Bias;

impl Hypothesis for Bias {
    fn id(&self) -> &'static str {
        "bias"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let Ok(bound) = case.machine().bound(case.target) else { return Vec::new() };
        let bias: Vec<f64> = match case.node.op {
            Op::AddBias => bound.vector().unwrap_or_default().iter().map(|&b| b.into()).collect(),
            _ => bound.bias().unwrap_or_default().iter().map(|&b| b.into()).collect(),
        };
        if bias.is_empty() {
            return Vec::new();
        }
        let name = case.node.bias.clone().or_else(|| case.node.weight.clone()).unwrap_or_default();
        // How many times too often the bias was added.
        let mut times = vec![
            (-1.0, "is not added".to_owned()),
            (1.0, "is added twice".into()),
            (-2.0, "is subtracted".into()),
        ];
        // As many times as there are parts of a product that each add it.
        if let Some(more) = multiple(case, &bias).map(f64::round).filter(|more| (2.0..1000.0).contains(more))
        {
            times.push((more, format!("is added {} times", more + 1.0)));
        }
        times
            .into_iter()
            .map(|(more, what)| {
                let bias = bias.clone();
                let mut change = case.with(|_| {});
                change.post = Some(Arc::new(move |_, out| {
                    for (out, b) in out.iter_mut().zip(&bias) {
                        *out += more * b;
                    }
                }));
                Trial::new(4, format!("the bias {} {what}", crate::text::safe(&name)), change)
            })
            .collect()
    }
}

/// How many times the bias is in what the node is off by.
fn multiple(case: &Case<'_, '_>, bias: &[f64]) -> Option<f64> {
    let (mut both, mut own) = (0.0, 0.0);
    for (_, recorded, right) in case.rows() {
        for ((&a, b), bias) in recorded.iter().zip(right).zip(bias) {
            both += (f64::from(a) - b) * bias;
            own += bias * bias;
        }
    }
    Some(both / own).filter(|more| more.is_finite())
}
