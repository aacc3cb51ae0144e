//! Stepping an engine while its checkpoints are written to a trace.

use std::path::Path;

use super::run::RecordSink;
use super::statistics::Statistics;
use super::worker::{Graft, Worker};
use super::{Engine, EngineError, Tap};
use crate::model::Checkpoint;
use crate::trace::{Token, TraceError, TraceWriter};

/// An engine of ours whose steps are recorded.
pub struct Recorded {
    engine: Box<dyn Engine>,
    writer: TraceWriter,
}

impl Recorded {
    /// Creates the trace at `path` with the engine's header.
    pub fn new(engine: Box<dyn Engine>, path: &Path) -> Result<Self, TraceError> {
        let writer = TraceWriter::create(path, &engine.header())?;
        Ok(Self { engine, writer })
    }

    /// The position that is computed next.
    pub fn position(&self) -> usize {
        self.engine.position()
    }

    /// As [`Recorded::new`], into a trace that is begun already.
    pub fn with_writer(engine: Box<dyn Engine>, writer: TraceWriter) -> Self {
        Self { engine, writer }
    }
}

impl Worker for Recorded {
    fn step(&mut self, token: &Token) -> Result<Option<u32>, String> {
        let position = self.engine.position() as u32;
        self.writer.token(position, token).map_err(|e| e.to_string())?;
        let mut tap = Recorder { sink: &mut self.writer, position };
        let logits = self.engine.step(token.id, &mut tap).map_err(|e| e.to_string())?;
        let next = argmax(logits);
        self.writer.complete(position).map_err(|e| e.to_string())?;
        Ok(Some(next))
    }

    fn graft(&mut self, graft: Graft) -> Result<(), String> {
        self.engine.graft(graft.checkpoint, graft.values).map_err(|e| e.to_string())
    }

    fn rewind(&mut self, position: u32) -> Result<(), String> {
        self.engine.rewind(position as usize).map_err(|e| e.to_string())?;
        self.writer.rewind(position).map_err(|e| e.to_string())
    }

    fn end(self: Box<Self>) -> Result<(), String> {
        self.writer.end().map_err(|e| e.to_string())
    }
}

/// Index of the largest value; the first of equals, as llama.cpp's greedy sampler takes it. NaN is
/// never the largest.
pub fn argmax(values: &[f32]) -> u32 {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] || values[best].is_nan() {
            best = i;
        }
    }
    best as u32
}

/// Passes an engine's checkpoints on as records of one position.
pub struct Recorder<'a> {
    /// Who takes them.
    pub sink: &'a mut dyn RecordSink,
    /// The position.
    pub position: u32,
}

impl Tap for Recorder<'_> {
    fn position(&mut self, position: usize) {
        self.position = position as u32;
    }

    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        self.sink
            .record(self.position, checkpoint, None, op, shape, values)
            .map_err(|e| EngineError::Sink(e.to_string()))
    }

    fn statistics(
        &mut self,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        statistics: &Statistics,
    ) -> Result<(), EngineError> {
        self.sink
            .statistics(self.position, checkpoint, op, shape, statistics)
            .map_err(|e| EngineError::Sink(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn argmax_takes_the_first_of_equals_and_never_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NAN, -2.0, -1.0, f32::NAN]), 2);
        assert_eq!(argmax(&[f32::NEG_INFINITY, f32::INFINITY]), 1);
    }
}
