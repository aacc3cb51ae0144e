//! Whatever computes positions on orders and writes its own trace: an engine of ours or a program
//! of somebody else's.

use crate::model::Checkpoint;
use crate::trace::Token;

/// Values that a checkpoint takes in one step, in place of the computed ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Graft {
    /// Which checkpoint.
    pub checkpoint: Checkpoint,
    /// As many as the checkpoint has at that position, in the order of a record.
    pub values: Vec<f32>,
}

/// Takes orders one at a time. An error ends it: its text says what happened and what to do.
pub trait Worker {
    /// Computes the next position. Returns the most likely next token, where it is known without
    /// reading the trace.
    fn step(&mut self, token: &Token) -> Result<Option<u32>, String>;

    /// In the next step, a checkpoint takes these values. Several grafts add up.
    fn graft(&mut self, graft: Graft) -> Result<(), String>;

    /// Forgets positions from `position` on.
    fn rewind(&mut self, position: u32) -> Result<(), String>;

    /// Closes the trace.
    fn end(self: Box<Self>) -> Result<(), String>;
}
