//! Only the first ten values of each record are written.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};

/// See the module.
pub struct TenValues;

impl Fault for TenValues {
    fn id(&self) -> &'static str {
        "ten-values"
    }
    fn catalogue(&self) -> u8 {
        28
    }
    fn title(&self) -> &'static str {
        "only the first ten values of each record are written"
    }
    fn explain(&self) -> &'static str {
        "A logger that saves space: ten logits of 150,000, under the full shape. What can be compared \
         is compared, and the rest is missing."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log;

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        shown.pass(&shown.values[..shown.values.len().min(10)], tap)
    }
}
