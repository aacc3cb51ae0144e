//! A live session: two runs, at most two engines that make them grow, one comparison.
//! Screens and headless commands drive it through commands and read snapshots; it knows no screen.

pub mod snapshot;

pub use snapshot::{Command, Focus, RunState, SideStatus, Snapshot, SourceState, TokenView};
