//! The screen's facts as plain lines: for screen readers, pipes and logs.

mod diagnosis;
mod lines;
mod live;
mod views;

pub use lines::lines;
pub use live::run;
