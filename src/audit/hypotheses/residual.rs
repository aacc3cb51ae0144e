//! A residual sum with a part left out, doubled or subtracted.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::figures::figure;
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
        let mut weighted = weighted.to_vec();
        weighted.extend(shares(case).map(|[x, y]| {
            let part = |share: f64, name: String| {
                if (share - 1.0).abs() < 1e-5 {
                    None
                } else {
                    Some(format!("{name} is multiplied by {}", figure(share)))
                }
            };
            let parts: Vec<String> = [part(x, name(0)), part(y, name(1))].into_iter().flatten().collect();
            (x, y, format!("{} before the sum", parts.join(", ")))
        }));
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

/// How much of each part is in the sum, by least squares, where it is not one of each.
fn shares(case: &Case<'_, '_>) -> Option<[f64; 2]> {
    if !case.is_direct() {
        return None;
    }
    let (mut aa, mut ab, mut bb, mut ay, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (p, recorded, _) in case.rows() {
        for ((a, b), &y) in case.input(0, p)?.iter().zip(&case.input(1, p)?).zip(recorded) {
            let y = f64::from(y);
            aa += a * a;
            ab += a * b;
            bb += b * b;
            ay += a * y;
            by += b * y;
        }
    }
    let determinant = aa * bb - ab * ab;
    // Shares are written with few digits; what is nearly one is one.
    let round = |share: f64| {
        let few = (share * 1e4).round() / 1e4;
        if (share - few).abs() < 1e-6 { few } else { share }
    };
    let shares = [(ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant].map(round);
    let odd = shares.iter().any(|s| (s - 1.0).abs() > 1e-5);
    (odd && shares.iter().all(|s| s.is_finite())).then_some(shares)
}
