//! One of our engines as the recording command drives it.

use super::record::{Recorder, argmax};
use super::run::{RecordSink, Run};
use super::statistics::Reduce;
use super::{Engine, Tap};
use crate::tokenizer::Tokenizer;
use crate::trace::Header;

/// An engine that takes tokens and chooses the most likely next one.
pub struct OwnRun {
    engine: Box<dyn Engine>,
    tokenizer: Option<Tokenizer>,
    next: Option<u32>,
    /// Whether the engine's values are reduced here.
    reduce: bool,
}

impl OwnRun {
    /// Drives `engine`; texts come from `tokenizer` where the model has one.
    pub fn new(engine: Box<dyn Engine>, tokenizer: Option<Tokenizer>) -> Self {
        Self { engine, tokenizer, next: None, reduce: false }
    }

    /// Records statistics instead of values from now on; reduced where they are computed, if the engine can.
    #[must_use]
    pub fn with_statistics(mut self) -> Self {
        self.reduce = !self.engine.reduce(true);
        self
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

    fn batch_size(&self) -> usize {
        self.engine.batch_size()
    }

    fn feed(&mut self, tokens: &[u32], out: &mut dyn RecordSink) -> anyhow::Result<()> {
        let together = self.engine.batch_size();
        for tokens in tokens.chunks(together) {
            let position = self.engine.position() as u32;
            let mut recorder = Recorder { sink: out, position };
            let mut reduce;
            let tap: &mut dyn Tap = if self.reduce {
                reduce = Reduce(&mut recorder);
                &mut reduce
            } else {
                &mut recorder
            };
            let logits = match tokens {
                &[token] => self.engine.step(token, tap)?,
                _ => self.engine.batch(tokens, tap)?,
            };
            self.next = Some(argmax(logits));
        }
        Ok(())
    }

    fn next_token(&mut self) -> anyhow::Result<u32> {
        self.next.ok_or_else(|| anyhow::anyhow!("nothing was computed yet"))
    }
}
