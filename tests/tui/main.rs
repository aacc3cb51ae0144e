//! The screen, drawn into a buffer and driven by actions.

#[path = "../common/snapshots.rs"]
mod snapshots;

mod actions;
mod drawing;
mod lists;
mod pixels;
mod prompt;
mod views;
