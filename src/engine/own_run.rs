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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::engine::cpu::{CpuOptions, F32Engine};
    use crate::engine::statistics::Statistics;
    use crate::gguf::Gguf;
    use crate::model::{CaptureSet, Checkpoint, arch};
    use crate::trace::{TraceError, TraceWriter};

    #[derive(Default)]
    struct Kept {
        values: HashMap<(u32, Checkpoint), Vec<f32>>,
        statistics: HashMap<(u32, Checkpoint), Statistics>,
    }

    impl RecordSink for Kept {
        fn record(
            &mut self,
            position: u32,
            checkpoint: Checkpoint,
            _: Option<&str>,
            _: &str,
            _: &[u32],
            values: &[f32],
        ) -> Result<(), TraceError> {
            self.values.insert((position, checkpoint), values.to_vec());
            Ok(())
        }

        fn statistics(
            &mut self,
            position: u32,
            checkpoint: Checkpoint,
            _: &str,
            _: &[u32],
            statistics: &Statistics,
        ) -> Result<(), TraceError> {
            self.statistics.insert((position, checkpoint), *statistics);
            Ok(())
        }
    }

    fn engine() -> Box<dyn Engine> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-q4_k_m.gguf");
        let gguf = Arc::new(Gguf::open(&path).unwrap());
        let graph = arch::graph(&gguf).unwrap();
        let mut engine = F32Engine::new(&gguf, graph, CpuOptions { threads: 1, kv_f16: false }).unwrap();
        engine.set_capture(CaptureSet::All);
        Box::new(engine)
    }

    #[test]
    fn statistics_stand_for_the_values_of_an_engine_that_does_not_reduce_them() {
        let (mut all, mut reduced) = (Kept::default(), Kept::default());
        OwnRun::new(engine(), None).feed(&[1, 443, 77], &mut all).unwrap();
        let mut run = OwnRun::new(engine(), None).with_statistics();
        run.feed(&[1, 443, 77], &mut reduced).unwrap();
        assert!(reduced.values.is_empty() && all.statistics.is_empty());
        assert_eq!(reduced.statistics.len(), all.values.len());
        for (cell, values) in &all.values {
            assert_eq!(reduced.statistics[cell], Statistics::of(values), "{cell:?}");
        }
    }

    #[test]
    fn a_reduced_record_is_a_record_without_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reduced.jsonl");
        let mut run = OwnRun::new(engine(), None).with_statistics();
        let mut writer = TraceWriter::create_text(&path, &run.header(), None).unwrap();
        run.feed(&[1], &mut writer).unwrap();
        writer.end().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.contains("\"l_out-2\"")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["values"], serde_json::json!([]));
        assert_eq!(line["statistics"]["non_finite"], 0);
        assert!(line["statistics"]["rms"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn an_engine_without_batches_takes_a_batch_token_by_token() {
        let (mut together, mut apart) = (engine(), engine());
        assert_eq!(together.batch_size(), 1);
        let tap = &mut crate::engine::NoTap;
        apart.step(1, tap).unwrap();
        let last = apart.step(443, tap).unwrap().to_vec();
        assert_eq!(together.batch(&[1, 443], tap).unwrap(), last);
        assert!(together.batch(&[], tap).is_err());
        assert_eq!(together.position(), 2);
    }
}
