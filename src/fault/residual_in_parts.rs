//! The stream after a layer is recorded without the feed-forward block's part.

use super::Fault;
use super::recorder::{Mislog, Shown};
use crate::engine::{EngineError, Tap};
use crate::model::Site;

/// See the module.
pub struct ResidualInParts;

impl Fault for ResidualInParts {
    fn id(&self) -> &'static str {
        "residual-in-parts"
    }
    fn catalogue(&self) -> u8 {
        26
    }
    fn title(&self) -> &'static str {
        "the stream after a layer is recorded without the feed-forward block's part"
    }
    fn explain(&self) -> &'static str {
        "Engines that fuse the addition into the next norm hand on the stream in two parts; a hook \
         sees one of them. l_out equals ffn_inp and the next layer is right all the same \
         (nnsight#630)."
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
            Site::FfnInp => {
                self.stream = shown.values.to_vec();
                shown.pass(shown.values, tap)
            }
            Site::LOut if self.stream.len() == shown.values.len() => shown.pass(&self.stream, tap),
            _ => shown.pass(shown.values, tap),
        }
    }
}
