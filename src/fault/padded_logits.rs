//! 64 rows of padding are recorded as tokens.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};
use crate::model::Checkpoint;

/// See the module.
pub struct PaddedLogits;

impl Fault for PaddedLogits {
    fn id(&self) -> &'static str {
        "padded-logits"
    }
    fn catalogue(&self) -> u8 {
        24
    }
    fn title(&self) -> &'static str {
        "64 rows of padding are recorded as tokens"
    }
    fn explain(&self) -> &'static str {
        "Vocabularies are padded for speed; the logits of rows that are no tokens belong to nobody. \
         The record is longer than the vocabulary, its tail is constant."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log;

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        if shown.checkpoint != Checkpoint::LOGITS {
            return shown.pass(shown.values, tap);
        }
        let mut values = shown.values.to_vec();
        values.resize(values.len() + 64, 0.0);
        tap.tensor(shown.checkpoint, shown.op, &[values.len() as u32], &values)
    }
}
