//! A live session: two runs, at most two engines that make them grow, one comparison.
//! Screens and headless commands drive it through commands and read snapshots; it knows no screen.

pub mod child;
mod config;
mod driver;
pub mod facts;
pub mod headless;
pub mod link;
mod look;
mod plan;
mod replay;
mod run;
mod side;
pub mod snapshot;
pub mod source;
mod still;
mod words;

pub use config::{Config, SessionError, Tokens};
pub use link::Link;
pub use replay::Pace;
pub use run::Session;
pub use snapshot::{Command, Focus, RunState, SideStatus, Snapshot, SourceState, TokenView};
pub use source::Source;
pub use still::Still;
