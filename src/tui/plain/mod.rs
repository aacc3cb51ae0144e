//! The screen's facts as plain lines: for screen readers, pipes and logs.

mod lines;
mod live;

pub use lines::lines;
pub use live::run;
