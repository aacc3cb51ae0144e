//! Where each node's output lies in the arena.
//!
//! Kernels write their outputs straight into the arena, captured ones beside each other, so that one
//! transfer brings home what a step shows. Outputs that grow with the position are packed for exactly
//! the visible positions and lie behind the fixed ones: the transfer has no gaps, at any position.
//! Statistics lie in front of the logits, so that these two travel together where values are not wanted.

use std::ops::Range;

use super::memory::ALIGNMENT;
use crate::engine::statistics::Statistics;
use crate::model::{Graph, Node, Op};

/// Where an output lies; offsets are bytes in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At one place.
    Fixed(usize),
    /// `before` rows of visible positions behind `base`.
    Growing {
        /// Where growing outputs of this kind begin.
        base: usize,
        /// Rows (heads) of growing outputs that lie before this one.
        before: usize,
    },
}

/// The arena's plan.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By node.
    pub places: Vec<Place>,
    /// By node: whether it is a part of its input.
    aliases: Vec<bool>,
    /// By node: whether it is shown.
    pub captured: Vec<bool>,
    /// By node: whether it lies among what comes home, because it or a part of it is shown.
    travels: Vec<bool>,
    /// First byte that may come home: the statistics of what is shown, in order.
    statistics: usize,
    /// First byte of captured outputs that grow; all captured ones before it are fixed.
    growing: usize,
    /// Rows of captured outputs that grow.
    growing_rows: usize,
    /// Bytes of the whole arena.
    pub bytes: usize,
}

impl Layout {
    /// A layout for at most `capacity` positions. With `aliases`, a slice is a part of its input and
    /// takes no place of its own.
    pub fn new(graph: &Graph, captured: Vec<bool>, capacity: usize, aliases: bool) -> Self {
        let nodes = &graph.nodes;
        let last = nodes.len() - 1;
        // A slice travels with what it is a part of.
        let alias = |node: &Node| match node.op {
            Op::Slice { start }
                if aliases && start.is_multiple_of(4) && !nodes[node.inputs[0].index()].op.grows() =>
            {
                Some((node.inputs[0].index(), start * 4))
            }
            _ => None,
        };
        let mut travels = captured.clone();
        for (index, node) in nodes.iter().enumerate() {
            if let Some((input, _)) = alias(node) {
                travels[input] |= captured[index];
            }
        }
        travels[last] = true;

        let mut places = vec![Place::Fixed(0); nodes.len()];
        let mut end = 0;
        let fix = |places: &mut Vec<Place>, index: usize, end: &mut usize| {
            let node: &Node = &nodes[index];
            if node.op.grows() || alias(node).is_some() {
                return;
            }
            places[index] = Place::Fixed(*end);
            *end = (*end + node.width * 4).next_multiple_of(ALIGNMENT);
        };
        for index in (0..last).filter(|&i| !travels[i]) {
            fix(&mut places, index, &mut end);
        }
        let statistics = end;
        let shown = captured.iter().filter(|&&shown| shown).count();
        end = (end + shown * size_of::<Statistics>()).next_multiple_of(ALIGNMENT);
        // The logits come first: they travel alone where nothing is captured.
        fix(&mut places, last, &mut end);
        for index in (0..last).filter(|&i| travels[i]) {
            fix(&mut places, index, &mut end);
        }
        let growing = end;
        let mut growing_rows = 0;
        for (index, node) in nodes.iter().enumerate().filter(|(_, n)| n.op.grows()) {
            if captured[index] {
                places[index] = Place::Growing { base: growing, before: growing_rows };
                growing_rows += node.width;
            }
        }
        let row = capacity * 4;
        let scratch = (growing + growing_rows * row).next_multiple_of(ALIGNMENT);
        // What nobody looks at is overwritten by the next layer.
        let widest = nodes.iter().filter(|n| n.op.grows()).map(|n| n.width).max().unwrap_or(0);
        for (index, node) in nodes.iter().enumerate().filter(|(_, n)| n.op.grows()) {
            if !captured[index] {
                let before = if matches!(node.op, Op::Scores(_)) { 0 } else { widest };
                places[index] = Place::Growing { base: scratch, before };
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            if let Some((input, offset)) = alias(node)
                && let Place::Fixed(at) = places[input]
            {
                places[index] = Place::Fixed(at + offset);
            }
        }
        let aliases = nodes.iter().map(|node| alias(node).is_some()).collect();
        let bytes = (scratch + 2 * widest * row).next_multiple_of(ALIGNMENT);
        Self { places, aliases, captured, travels, statistics, growing, growing_rows, bytes }
    }

    /// Whether node number `index` is a part of its input and needs no work.
    pub fn is_alias(&self, index: usize) -> bool {
        self.aliases[index]
    }

    /// Bytes that may come home when `visible` positions are visible.
    pub fn transfer(&self, visible: usize) -> Range<usize> {
        self.statistics..self.growing + self.growing_rows * visible * 4
    }

    /// What comes home of `nodes` but the logits: what is fixed, and what grows.
    pub fn values(&self, graph: &Graph, nodes: &Range<usize>, visible: usize) -> Vec<Range<usize>> {
        let last = graph.nodes.len() - 1;
        let (mut fixed, mut rows): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
        let widen = |to: &mut Option<Range<usize>>, by: Range<usize>| {
            let start = to.as_ref().map_or(by.start, |to| to.start);
            *to = Some(start..by.end);
        };
        // What travels lies in the order of the nodes.
        for index in nodes.clone() {
            let width = graph.nodes[index].width;
            match self.places[index] {
                Place::Fixed(at) if self.travels[index] && !self.aliases[index] && index != last => {
                    widen(&mut fixed, at..(at + width * 4).next_multiple_of(ALIGNMENT));
                }
                Place::Growing { before, .. } if self.captured[index] => {
                    widen(&mut rows, before..before + width);
                }
                _ => {}
            }
        }
        let at = |row: usize| self.growing + row * visible * 4;
        let growing = rows.map(|rows| at(rows.start)..at(rows.end));
        let (first, second) = match (fixed, growing) {
            (Some(fixed), Some(growing)) if fixed.end == growing.start => {
                (Some(fixed.start..growing.end), None)
            }
            apart => apart,
        };
        first.into_iter().chain(second).collect()
    }

    /// Shown nodes among `nodes`.
    pub fn shown(&self, nodes: &Range<usize>) -> impl Iterator<Item = usize> {
        nodes.clone().filter(|&index| self.captured[index])
    }

    /// Where the statistics of the shown ones among `nodes` lie, in order.
    pub fn statistics(&self, nodes: &Range<usize>) -> Range<usize> {
        let at = |nodes: Range<usize>| self.shown(&nodes).count() * size_of::<Statistics>();
        let start = self.statistics + at(0..nodes.start);
        start..start + at(nodes.clone())
    }

    /// Values of a node's output, as a range of bytes in the arena.
    pub fn output(&self, graph: &Graph, node: usize, visible: usize) -> Range<usize> {
        let width = graph.nodes[node].width;
        let (start, values) = match self.places[node] {
            Place::Fixed(at) => (at, width),
            Place::Growing { base, before } => (base + before * visible * 4, width * visible),
        };
        start..start + values * 4
    }
}
