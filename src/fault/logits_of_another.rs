//! Logits are recorded for the position before.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};
use crate::model::Checkpoint;

/// See the module.
pub struct LogitsOfAnother;

impl Fault for LogitsOfAnother {
    fn id(&self) -> &'static str {
        "logits-of-another"
    }
    fn catalogue(&self) -> u8 {
        29
    }
    fn title(&self) -> &'static str {
        "logits are recorded for the position before"
    }
    fn explain(&self) -> &'static str {
        "The wrong index in a batch: from position 1 on the logits equal those of another position \
         bit for bit."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log {
    before: Vec<f32>,
}

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        if shown.checkpoint != Checkpoint::LOGITS {
            return shown.pass(shown.values, tap);
        }
        let before = std::mem::replace(&mut self.before, shown.values.to_vec());
        shown.pass(if before.len() == shown.values.len() { &before } else { shown.values }, tap)
    }
}
