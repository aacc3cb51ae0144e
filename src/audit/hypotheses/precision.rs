//! Values lost to a short format: saturated at f16's largest, rounded to bf16 or f16, flushed to zero.

use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;

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
        vec![
            post("values beyond f16's range are cut to 65504", |x| x.clamp(-F16_MAX, F16_MAX)),
            post("values beyond f16's range become infinite", over),
            post("the result is rounded to bf16", |x| half::bf16::from_f64(x).to_f64()),
            post("the result is rounded to f16", |x| half::f16::from_f64(x).to_f64()),
            post("values that are not finite are replaced by 0", |x| if x.is_finite() { x } else { 0.0 }),
        ]
    }
}
