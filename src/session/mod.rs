//! A live session: two runs, at most two engines that make them grow, one comparison.
//! Screens and headless commands drive it through commands and read snapshots; it knows no screen.

mod change;
pub mod child;
mod config;
mod diagnosing;
pub mod diagnosis;
mod driver;
pub mod facts;
pub mod headless;
pub mod layers;
pub mod link;
mod look;
mod plan;
pub mod records;
mod replay;
mod run;
pub mod scores;
mod side;
pub mod snapshot;
pub mod source;
mod stepping;
mod still;
mod stop;
mod texts;
pub mod wanted;
pub mod which;
mod words;

pub use change::{CHANGES, Change, ChangeError};
pub use config::{Config, SessionError, Tokens};
pub use diagnosis::{Diagnosed, DiagnosisState, Faulty, SideDiagnosed};
pub use layers::{LayerRow, Layers};
pub use link::Link;
pub use records::{Arrived, Records};
pub use replay::Pace;
pub use run::Session;
pub use scores::{Attention, Scores};
pub use snapshot::{Command, Focus, RunState, SideStatus, Snapshot, SourceState, TokenView};
pub use source::Source;
pub use stepping::{Feed, Stepping, UnknownFeed};
pub use still::Still;
pub use stop::{STOPS, Stop, StopError, TokenPattern};
pub use texts::{Texts, texts};
pub use wanted::{Needs, Wanted};
pub use which::Which;
