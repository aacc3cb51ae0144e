//! What is shown of a step: where it lies, and how it reaches who looks.

use std::ops::Range;

use super::arena::Home;
use super::device::Device;
use super::error::CudaError;
use super::layout::Layout;
use super::stage::Common;
use crate::engine::statistics::Statistics;
use crate::engine::{EngineError, Tap, request};
use crate::model::Graph;

/// How what is captured lies and comes home.
pub struct Show {
    /// Of a captured step.
    layout: Layout,
    /// Of a step in which values are put in from outside.
    grafted: Layout,
    /// Whether statistics come home instead of values.
    statistics: bool,
}

impl Show {
    /// For these nodes, and at most `capacity` positions.
    pub fn new(graph: &Graph, captured: &[bool], statistics: bool, capacity: usize) -> Self {
        let layout = |aliases| Layout::new(graph, captured.to_vec(), capacity, aliases);
        Self { layout: layout(true), grafted: layout(false), statistics }
    }

    /// Bytes of an arena.
    pub fn bytes(&self) -> usize {
        self.layout.bytes.max(self.grafted.bytes)
    }

    /// Memory for what comes home of one arena.
    pub fn home(&self, device: &Device, capacity: usize) -> Result<Home, CudaError> {
        let (a, b) = (self.layout.transfer(capacity), self.grafted.transfer(capacity));
        Home::new(device, &(a.start.min(b.start)..a.end.max(b.end)))
    }

    /// What the devices share in a step.
    pub fn common<'a>(&'a self, graph: &'a Graph, grafted: bool) -> Common<'a> {
        let layout = if grafted { &self.grafted } else { &self.layout };
        Common { graph, layout, statistics: self.statistics }
    }
}

impl Common<'_> {
    /// Whether anything is shown.
    pub fn is_open(&self) -> bool {
        self.layout.captured.contains(&true)
    }

    /// Where the logits lie.
    pub fn logits(&self, visible: usize) -> Range<usize> {
        self.layout.output(self.graph, self.graph.nodes.len() - 1, visible)
    }

    /// Shows what was captured at `position` and has come home.
    pub fn show(&self, home: &Home, position: usize, tap: &mut dyn Tap) -> Result<(), EngineError> {
        let all = 0..self.graph.nodes.len();
        let reduced: &[Statistics] = if self.statistics {
            bytemuck::cast_slice(home.bytes(&self.layout.statistics(&all)))
        } else {
            &[]
        };
        tap.position(position);
        for (nth, index) in self.layout.shown(&all).enumerate() {
            let node = &self.graph.nodes[index];
            let Some(checkpoint) = node.checkpoint else { continue };
            let (op, shape) = (node.op.name(), request::output_shape(node, position));
            if let Some(statistics) = reduced.get(nth) {
                tap.statistics(checkpoint, op, &shape, statistics)?;
                continue;
            }
            let output = self.layout.output(self.graph, index, position + 1);
            tap.tensor(checkpoint, op, &shape, home.values(&output))?;
        }
        Ok(())
    }
}
