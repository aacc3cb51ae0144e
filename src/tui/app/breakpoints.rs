//! The conditions that any run pauses at.

use super::{App, Effect};
use crate::session::{Command, RunState, Stop};

/// Conditions at most; more would only slow every step.
const MOST: usize = 64;

impl App {
    /// The conditions, as far as they are known to be set.
    pub fn breakpoints(&self) -> &[Stop] {
        &self.breakpoints
    }

    /// Whether a run pauses at this very position.
    pub fn breaks_at(&self, position: u32) -> bool {
        self.breakpoints.contains(&Stop::Position(position))
    }

    /// Sets or clears one at the cursor's position.
    pub(super) fn toggle_breakpoint(&mut self) {
        let stop = Stop::Position(self.cursor.position);
        match self.breakpoints.iter().position(|s| *s == stop) {
            Some(index) => self.delete_breakpoints(Some(index)),
            None => self.add_breakpoint(&stop),
        }
    }

    pub(super) fn add_breakpoint(&mut self, stop: &Stop) {
        if self.breakpoints.contains(stop) {
            return self.tell(format!("there is a breakpoint at {stop} already"), false);
        }
        if self.breakpoints.len() >= MOST {
            return self.tell(format!("{MOST} breakpoints are the most; :delete N takes one away"), true);
        }
        let mut stops = self.breakpoints.clone();
        stops.push(stop.clone());
        if self.send_breakpoints(stops) {
            self.tell(format!("breakpoint: any run pauses at {stop}"), false);
        }
    }

    /// Takes the n-th away (counted from 0), or all.
    pub(super) fn delete_breakpoints(&mut self, which: Option<usize>) {
        let mut stops = self.breakpoints.clone();
        let gone = match which {
            Some(index) if index < stops.len() => format!("breakpoint removed: {}", stops.remove(index)),
            Some(_) => return self.tell("no such breakpoint", true),
            None => {
                stops.clear();
                "all breakpoints removed".to_owned()
            }
        };
        if self.send_breakpoints(stops) {
            self.tell(gone, false);
        }
    }

    fn send_breakpoints(&mut self, stops: Vec<Stop>) -> bool {
        if self.snapshot.run == RunState::Static {
            self.tell("both runs are traces: there is no engine to pause", false);
            return false;
        }
        self.breakpoints.clone_from(&stops);
        self.effects.push(Effect::Send(Command::Breakpoints(stops)));
        true
    }
}
