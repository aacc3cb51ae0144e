//! Whatever computes positions on orders and writes its own trace: an engine of ours or a program
//! of somebody else's.

use crate::trace::Token;

/// Takes orders one at a time. An error ends it: its text says what happened and what to do.
pub trait Worker {
    /// Computes the next position. Returns the most likely next token, where it is known without
    /// reading the trace.
    fn step(&mut self, token: &Token) -> Result<Option<u32>, String>;

    /// Forgets positions from `position` on.
    fn rewind(&mut self, position: u32) -> Result<(), String>;

    /// Closes the trace.
    fn end(self: Box<Self>) -> Result<(), String>;
}
