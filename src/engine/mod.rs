//! Engines that paritty drives: they take one token at a time and show every checkpoint.

pub mod cpu;
pub mod cuda;
pub mod describe;
pub mod external;
pub mod open;
pub mod own_run;
pub mod record;
pub(crate) mod request;
pub mod run;
pub mod statistics;
mod tensors;
pub mod worker;

use self::statistics::Statistics;
use crate::model::{CaptureSet, Checkpoint, Graph};
use crate::trace::{Header, Tensor};

/// Why an engine could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model file lacks something or is at odds with itself.
    #[error(transparent)]
    Model(#[from] crate::model::hparams::ModelError),
    /// The GPU, or what is needed to use it.
    #[error(transparent)]
    Cuda(#[from] cuda::CudaError),
    /// A request that makes no sense for this model.
    #[error("{0}")]
    Request(String),
    /// Whoever receives the checkpoints failed.
    #[error("{0}")]
    Sink(String),
}

/// Receives checkpoints while a step runs. `values` are only valid during the call.
pub trait Tap: Send {
    /// The tensors that follow belong to this position.
    fn position(&mut self, position: usize) {
        let _ = position;
    }

    /// One tensor; `shape` fastest axis first, without the token axis.
    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError>;

    /// One tensor's statistics in place of its values ([`Engine::reduce`]).
    fn statistics(
        &mut self,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        statistics: &Statistics,
    ) -> Result<(), EngineError> {
        let _ = (checkpoint, op, shape, statistics);
        Ok(())
    }
}

/// A tap that ignores everything.
pub struct NoTap;

impl Tap for NoTap {
    fn tensor(&mut self, _: Checkpoint, _: &str, _: &[u32], _: &[f32]) -> Result<(), EngineError> {
        Ok(())
    }
}

/// An engine that is driven token by token. It owns its key-value cache.
pub trait Engine: Send {
    /// The trace header that describes this engine and its settings.
    fn header(&self) -> Header;

    /// Names the fault that its graph holds, for the header.
    fn set_fault(&mut self, fault: Option<String>);

    /// The graph it executes, faults included.
    fn graph(&self) -> &Graph;

    /// Positions computed so far: the next token gets this index.
    fn position(&self) -> usize;

    /// Which checkpoints the following steps show.
    fn set_capture(&mut self, set: CaptureSet);

    /// Asks that the following steps show statistics instead of values. Whether the engine does: one that has its
    /// values at hand anyway leaves it to [`statistics::Reduce`].
    fn reduce(&mut self, on: bool) -> bool {
        let _ = on;
        false
    }

    /// Most tokens that it computes at once; 1 for an engine that computes token by token alone.
    fn batch_size(&self) -> usize {
        1
    }

    /// Computes the next positions at once, as many as [`Engine::batch_size`] at a time, showing the captured
    /// checkpoints of one position after the other. The returned logits are those of the last one.
    fn batch(&mut self, tokens: &[u32], tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        let Some((&last, before)) = tokens.split_last() else {
            return Err(EngineError::Request("a batch has no tokens".into()));
        };
        for &token in before {
            self.step(token, tap)?;
        }
        self.step(last, tap)
    }

    /// Computes the next position, showing captured checkpoints in order of execution.
    /// The returned logits stay valid until the next call.
    fn step(&mut self, token: u32, tap: &mut dyn Tap) -> Result<&[f32], EngineError>;

    /// As [`Engine::step`], but an engine may show the checkpoints of this position late: during the next
    /// call, while it computes on, or in [`Engine::flush`]. [`Tap::position`] says whose they are.
    fn step_ahead(&mut self, token: u32, tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        self.step(token, tap)
    }

    /// Shows what [`Engine::step_ahead`] has kept back.
    fn flush(&mut self, tap: &mut dyn Tap) -> Result<(), EngineError> {
        let _ = tap;
        Ok(())
    }

    /// Forgets positions from `position` on.
    fn rewind(&mut self, position: usize) -> Result<(), EngineError>;

    /// In the next step, `checkpoint` takes these values instead of the computed ones. Several
    /// grafts add up; the step consumes them.
    fn graft(&mut self, checkpoint: Checkpoint, values: Vec<f32>) -> Result<(), EngineError>;

    /// Recomputes one node alone. `inputs` holds the values of its inputs, in the order of the
    /// graph; for attention, key or value inputs hold all positions from 0, position slowest.
    /// `position` is the node's position, `token` its token (used by `embed`).
    fn eval(
        &mut self,
        checkpoint: Checkpoint,
        position: usize,
        token: u32,
        inputs: &[&[f32]],
    ) -> Result<Tensor, EngineError>;
}
