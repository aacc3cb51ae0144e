//! Changes to a node: what a hypothesis says that an engine did.

use std::sync::Arc;

use super::product::Weights;
use crate::engine::cpu::kernel::Moment;
use crate::model::{Node, NodeId};

/// Custom execution of a node: position, inputs (as the operation reads them), output.
pub type Execute = Arc<dyn Fn(&Node, Moment, &[&[f64]], &mut Vec<f64>) + Send + Sync>;

/// Position whose row is read in place of that of the first argument; `None`: zeros.
pub type Redirect = Arc<dyn Fn(u32) -> Option<u32> + Send + Sync>;

/// Row of the cache that slot (second argument) holds at a position (first); `None`: zeros.
pub type Slots = Arc<dyn Fn(u32, u32) -> Option<u32> + Send + Sync>;

/// Changes a result at a position.
pub type Post = Arc<dyn Fn(u32, &mut [f64]) + Send + Sync>;

/// A change to one node of a stretch: what a hypothesis says that the engine did.
#[derive(Clone)]
pub struct Change {
    /// Which node.
    pub target: NodeId,
    /// What it becomes. Its inputs may be other recorded nodes.
    pub node: Node,
    /// Another matrix.
    pub weights: Option<Arc<dyn Weights>>,
    /// Its operation is executed so.
    pub execute: Option<Execute>,
    /// Its inputs are read at another position.
    pub redirect: Option<Redirect>,
    /// Its cache is read so.
    pub slots: Option<Slots>,
    /// What becomes of its result.
    pub post: Option<Post>,
    /// Changes to other nodes of the same stretch: one mistake that is made in several places.
    pub also: Vec<Change>,
}

impl Change {
    /// The change to node `id`, if there is one.
    pub fn on(&self, id: NodeId) -> Option<&Self> {
        if self.target == id { Some(self) } else { self.also.iter().find(|c| c.target == id) }
    }

    /// A change of the node alone.
    pub fn to(target: NodeId, node: Node) -> Self {
        Self {
            target,
            node,
            weights: None,
            execute: None,
            redirect: None,
            slots: None,
            post: None,
            also: Vec::new(),
        }
    }
}
