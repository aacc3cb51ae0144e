//! From the nodes of a running batch to the records of a trace.

use std::ops::ControlFlow;

use super::LlamaError;
use super::graph_node::GraphNode;
use super::node::{Node, NodeSink};
use super::resolve::Resolver;
use super::rows::Rows;
use super::turned::turns;
use crate::engine::run::RecordSink;
use crate::model::{CaptureSet, Checkpoint, Site};

/// Buffers that are reused from node to node and from batch to batch.
#[derive(Debug, Default)]
pub struct Buffers {
    storage: Vec<f32>,
    row: Vec<f32>,
}

/// Copies the captured nodes of one batch to `out`, one record for each of its tokens.
pub struct Recorder<'a> {
    /// Names nodes.
    pub resolver: &'a Resolver,
    /// What is captured.
    pub capture: &'a CaptureSet,
    /// Position of the batch's first token.
    pub position: usize,
    /// Tokens in the batch.
    pub columns: usize,
    /// Where records go.
    pub out: &'a mut dyn RecordSink,
    /// Scratch memory.
    pub buffers: &'a mut Buffers,
    /// The node that was asked for last, so that it is named only once.
    pub pending: Option<(*const (), Checkpoint)>,
    /// Whether values were turned before they were stored.
    pub turned: bool,
    /// Why the pass was ended.
    pub failure: Option<LlamaError>,
}

impl Recorder<'_> {
    fn record(&mut self, node: Node<'_>, checkpoint: Checkpoint) -> Result<(), LlamaError> {
        let strange = |problem| LlamaError::Node { node: node.name().to_owned(), problem };
        let rows = node
            .extent()
            .and_then(|extent| Rows::new(checkpoint, node.op(), extent, self.columns))
            .map_err(strange)?;
        let storage = node.storage(&mut self.buffers.storage).map_err(strange)?;
        let canonical = checkpoint.to_string();
        let tensor = (node.name() != canonical).then_some(node.name());
        for column in 0..self.columns {
            let position = self.position + column;
            let (shape, axes) = rows.shape(position);
            let values = rows
                .values(storage, column, position, &mut self.buffers.row)
                .ok_or_else(|| strange(format!("it holds only {} values", storage.len())))?;
            self.out.record(position as u32, checkpoint, tensor, node.op(), &shape[..axes], values)?;
        }
        Ok(())
    }
}

impl NodeSink for Recorder<'_> {
    fn wants(&mut self, node: Node<'_>) -> bool {
        self.turned = self.turned || turns(&node);
        // What has llama.cpp's own name has not been turned back yet.
        let early = |checkpoint: Checkpoint| {
            let named = || node.name().contains(Site::KqvOut.name());
            self.turned && checkpoint.site() == Site::KqvOut && named()
        };
        self.pending = node
            .is_live()
            .then(|| self.resolver.resolve(&node))
            .flatten()
            .filter(|&checkpoint| self.capture.contains(checkpoint) && !early(checkpoint))
            .map(|checkpoint| (node.id(), checkpoint));
        self.pending.is_some()
    }

    fn computed(&mut self, node: Node<'_>) -> ControlFlow<()> {
        let Some((_, checkpoint)) = self.pending.take().filter(|&(id, _)| node.is(id)) else {
            return ControlFlow::Continue(());
        };
        match self.record(node, checkpoint) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
