//! The hidden state is recorded before the final norm, under the name of the one after.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};
use crate::model::Site;

/// See the module.
pub struct LoggedBeforeNorm;

impl Fault for LoggedBeforeNorm {
    fn id(&self) -> &'static str {
        "logged-before-norm"
    }
    fn catalogue(&self) -> u8 {
        25
    }
    fn title(&self) -> &'static str {
        "the hidden state is recorded before the final norm, under the name of the one after"
    }
    fn explain(&self) -> &'static str {
        "result_norm equals the last l_out and the logits are right: a mistake of naming, once \
         retracted as a diagnosis (hipfire#258)."
    }
    fn mislog(&self) -> Option<Box<dyn Mislog>> {
        Some(Box::<Log>::default())
    }
}

#[derive(Default)]
struct Log {
    stream: Vec<f32>,
}

impl Mislog for Log {
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError> {
        match shown.checkpoint.site() {
            Site::LOut if shown.checkpoint.layer_index() == Some(shown.last_layer) => {
                self.stream = shown.values.to_vec();
                shown.pass(shown.values, tap)
            }
            Site::ResultNorm if self.stream.len() == shown.values.len() => shown.pass(&self.stream, tap),
            _ => shown.pass(shown.values, tap),
        }
    }
}
