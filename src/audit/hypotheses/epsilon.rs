//! A norm with another epsilon, which its gain reveals.

use super::{Case, Hypothesis, Trial};
use crate::model::Op;

/// See the module.
pub struct Epsilon;

impl Hypothesis for Epsilon {
    fn id(&self) -> &'static str {
        "norm-epsilon"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let (eps, group, centred) = match case.node.op {
            Op::RmsNorm { eps, group } => (f64::from(eps), group, false),
            Op::LayerNorm { eps } => (f64::from(eps), case.node.width, true),
            _ => return Vec::new(),
        };
        // Where the row is small, epsilon weighs most.
        let mut best: Option<(f64, f64)> = None;
        for (p, recorded, expected) in case.rows() {
            let Some(x) = case.input(0, p) else { continue };
            for (i, x) in x.chunks(group).enumerate() {
                let at = i * group..(i * group + x.len()).min(recorded.len());
                let mean = if centred { x.iter().sum::<f64>() / x.len() as f64 } else { 0.0 };
                let square = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
                let (mut both, mut own) = (0.0, 0.0);
                for (&a, b) in recorded[at.clone()].iter().zip(&expected[at]) {
                    both += f64::from(a) * b;
                    own += b * b;
                }
                let gain = both / own;
                let found = (square + eps) / (gain * gain) - square;
                if found.is_finite() && best.is_none_or(|(least, _)| square < least) {
                    best = Some((square, found));
                }
            }
        }
        let Some((_, found)) = best else { return Vec::new() };
        // Epsilons are written with one digit.
        let power = 10f64.powf(found.abs().log10().floor());
        let round = if found > 0.0 { (found / power).round() * power } else { 0.0 };
        [round, found.max(0.0), 0.0, 1e-5, 1e-6, 1e-8, 1e-12]
            .into_iter()
            .filter(|e| e.is_finite() && (*e - eps).abs() > eps * 1e-3)
            .map(|new| {
                Trial::new(
                    5,
                    format!("the norm adds an epsilon of {new:.0e} where the model says {eps:.0e}"),
                    case.with(|node| {
                        if let Op::RmsNorm { eps, .. } | Op::LayerNorm { eps } = &mut node.op {
                            *eps = new as f32;
                        }
                    }),
                )
            })
            .collect()
    }
}
