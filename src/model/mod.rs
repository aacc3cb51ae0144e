//! What a model is: hyper-parameters, checkpoints and the graph of operations. No arithmetic here.

pub mod arch;
pub mod build;
pub mod checkpoint;
pub mod departure;
pub mod graph;
pub mod hparams;
pub mod misread;
pub mod sequence;
pub mod view;

pub use checkpoint::{CaptureSet, Checkpoint, Parent, Phase, Site};
pub use departure::Departure;
pub use graph::{Graph, Node, NodeId, Op};
pub use sequence::Sequence;
pub use view::View;
