//! NaN and infinities are recorded as 0.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};

/// See the module.
pub struct NanAsZero;

impl Fault for NanAsZero {
    fn id(&self) -> &'static str {
        "nan-as-zero"
    }
    fn catalogue(&self) -> u8 {
        28
    }
    fn title(&self) -> &'static str {
        "NaN and infinities are recorded as 0"
    }
    fn explain(&self) -> &'static str {
        "A logger without a word for them writes 0, and the first NaN of a run cannot be seen. \
         Changes nothing where every value is finite."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log;

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        let values: Vec<f32> = shown.values.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
        shown.pass(&values, tap)
    }
}
