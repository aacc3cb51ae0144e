//! Mistakes of the instrument: what is computed stays right, what is shown does not.

use super::Injections;
use crate::engine::{Engine, EngineError, Tap};
use crate::model::{CaptureSet, Checkpoint, Graph};
use crate::trace::{Header, Tensor};

/// One tensor on its way to whoever records it.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The position.
    pub position: usize,
    /// The last layer.
    pub last_layer: usize,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The operation's name.
    pub op: &'a str,
    /// Fastest axis first, without the token axis.
    pub shape: &'a [u32],
    /// The values.
    pub values: &'a [f32],
}

impl Shown<'_> {
    /// Passes it on with these values.
    pub fn pass(&self, values: &[f32], tap: &mut dyn Tap) -> Result<(), EngineError> {
        tap.tensor(self.checkpoint, self.op, self.shape, values)
    }
}

/// Changes what an engine shows. Sees every tensor of a run in order.
pub trait Mislog: Send {
    /// Passes `shown` on to `tap`, wrongly.
    fn tensor(&mut self, shown: Shown<'_>, tap: &mut dyn Tap) -> Result<(), EngineError>;
}

/// An engine with mistaken instruments.
pub struct Misrecorded {
    engine: Box<dyn Engine>,
    logs: Vec<Box<dyn Mislog>>,
}

impl Misrecorded {
    /// `engine` as the recorder faults among `faults` show it, the first one nearest to it.
    pub fn new(engine: Box<dyn Engine>, logs: Vec<Box<dyn Mislog>>) -> Self {
        Self { engine, logs }
    }
}

/// `engine` with the name of its faults, and as their recorders show it.
pub fn dress(mut engine: Box<dyn Engine>, faults: &Injections) -> Box<dyn Engine> {
    if faults.is_empty() {
        return engine;
    }
    engine.set_fault(Some(faults.to_string()));
    let logs = faults.mislogs();
    if logs.is_empty() { engine } else { Box::new(Misrecorded::new(engine, logs)) }
}

/// The chain of recorders in front of the real tap.
struct Chain<'a> {
    position: usize,
    last_layer: usize,
    logs: &'a mut [Box<dyn Mislog>],
    tap: &'a mut dyn Tap,
}

impl Tap for Chain<'_> {
    fn tensor(
        &mut self,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), EngineError> {
        let (position, last_layer) = (self.position, self.last_layer);
        let Some((first, rest)) = self.logs.split_first_mut() else {
            return self.tap.tensor(checkpoint, op, shape, values);
        };
        let mut rest = Chain { position, last_layer, logs: rest, tap: &mut *self.tap };
        first.tensor(Shown { position, last_layer, checkpoint, op, shape, values }, &mut rest)
    }
}

impl Engine for Misrecorded {
    fn header(&self) -> Header {
        self.engine.header()
    }

    fn set_fault(&mut self, fault: Option<String>) {
        self.engine.set_fault(fault);
    }

    fn graph(&self) -> &Graph {
        self.engine.graph()
    }

    fn position(&self) -> usize {
        self.engine.position()
    }

    fn set_capture(&mut self, set: CaptureSet) {
        self.engine.set_capture(set);
    }

    fn step(&mut self, token: u32, tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        let position = self.engine.position();
        let last_layer = self.engine.graph().n_layer.saturating_sub(1);
        let mut chain = Chain { position, last_layer, logs: &mut self.logs, tap };
        self.engine.step(token, &mut chain)
    }

    fn rewind(&mut self, position: usize) -> Result<(), EngineError> {
        self.engine.rewind(position)
    }

    fn graft(&mut self, checkpoint: Checkpoint, values: Vec<f32>) -> Result<(), EngineError> {
        self.engine.graft(checkpoint, values)
    }

    fn eval(
        &mut self,
        checkpoint: Checkpoint,
        position: usize,
        token: u32,
        inputs: &[&[f32]],
    ) -> Result<Tensor, EngineError> {
        self.engine.eval(checkpoint, position, token, inputs)
    }
}
