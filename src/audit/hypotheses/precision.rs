//! Values lost to a short format: saturated at f16's largest, rounded to bf16 or f16, flushed to zero.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;
use crate::figures::figure;

/// See the module.
pub struct Precision;

/// The largest finite f16.
const F16_MAX: f64 = 65504.0;

impl Hypothesis for Precision {
    fn id(&self) -> &'static str {
        "precision"
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        let post = |says: &str, round: fn(f64) -> f64| {
            let post = move |_: u32, out: &mut [f64]| {
                for x in out {
                    *x = round(*x);
                }
            };
            Trial::new(0, says.to_owned(), Change { post: Some(Arc::new(post)), ..case.with(|_| {}) })
        };
        let over = |x: f64| if x.abs() > F16_MAX { f64::INFINITY.copysign(x) } else { x };
        let mut trials = cut(case).into_iter().collect::<Vec<Trial>>();
        trials.extend([
            post("values beyond f16's range are cut to 65504", |x| x.clamp(-F16_MAX, F16_MAX)),
            post("values beyond f16's range become infinite", over),
            post("the result is rounded to bf16", |x| half::bf16::from_f64(x).to_f64()),
            post("the result is rounded to f16", |x| half::f16::from_f64(x).to_f64()),
            post("values that are not finite are replaced by 0", |x| if x.is_finite() { x } else { 0.0 }),
        ]);
        trials
    }
}

/// Several values at exactly the largest: everything beyond it was cut.
fn cut(case: &Case<'_, '_>) -> Option<Trial> {
    if !case.is_direct() {
        return None;
    }
    let values = || case.rows().flat_map(|(_, recorded, _)| recorded.iter().copied());
    let most = values().fold(0.0_f32, |most, x| most.max(x.abs()));
    let at_it = values().filter(|x| x.abs() == most).count();
    let limit = f64::from(most);
    if at_it < 3 || most == 0.0 || limit == F16_MAX {
        return None;
    }
    let post = move |_: u32, out: &mut [f64]| out.iter_mut().for_each(|x| *x = x.clamp(-limit, limit));
    let says = format!("values are cut at ±{}", figure(limit));
    Some(Trial::new(0, says, Change { post: Some(Arc::new(post)), ..case.with(|_| {}) }))
}
