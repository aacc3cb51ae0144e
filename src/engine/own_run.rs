//! One of our engines as the recording command drives it.

use super::Engine;
use super::record::{Recorder, argmax};
use super::run::{RecordSink, Run};
use crate::tokenizer::Tokenizer;
use crate::trace::Header;

/// An engine that takes tokens and chooses the most likely next one.
pub struct OwnRun {
    engine: Box<dyn Engine>,
    tokenizer: Option<Tokenizer>,
    next: Option<u32>,
}

impl OwnRun {
    /// Drives `engine`; texts come from `tokenizer` where the model has one.
    pub fn new(engine: Box<dyn Engine>, tokenizer: Option<Tokenizer>) -> Self {
        Self { engine, tokenizer, next: None }
    }
}

impl Run for OwnRun {
    fn header(&self) -> Header {
        self.engine.header()
    }

    fn piece(&self, token: u32) -> String {
        self.tokenizer.as_ref().map(|t| t.piece_text(token)).unwrap_or_default()
    }

    fn is_end(&self, token: u32) -> bool {
        self.tokenizer.as_ref().is_some_and(|t| t.is_eog(token))
    }

    fn feed(&mut self, tokens: &[u32], out: &mut dyn RecordSink) -> anyhow::Result<()> {
        for &token in tokens {
            let position = self.engine.position() as u32;
            let logits = self.engine.step(token, &mut Recorder { sink: out, position })?;
            self.next = Some(argmax(logits));
        }
        Ok(())
    }

    fn next_token(&mut self) -> anyhow::Result<u32> {
        self.next.ok_or_else(|| anyhow::anyhow!("nothing was computed yet"))
    }
}
