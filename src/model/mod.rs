//! What a model is: hyper-parameters, checkpoints and the graph of operations. No arithmetic here.

pub mod arch;
pub mod build;
pub mod checkpoint;
pub mod graph;
pub mod hparams;

pub use checkpoint::{CaptureSet, Checkpoint, Parent, Phase, Site};
pub use graph::{Graph, Node, NodeId, Op};
