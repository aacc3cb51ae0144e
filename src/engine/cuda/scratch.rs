//! Device memory that steps use in passing.

use std::collections::BTreeMap;
use std::ops::Range;

use super::device::Device;
use super::error::CudaError;
use super::memory::{ALIGNMENT, Buffer};
use crate::model::graph::{Attention, Rope};
use crate::model::{Graph, Op};

/// Parts that the positions of a mixture are split into at most, where it is computed alone.
pub const SPLITS: u32 = 32;

/// How `attend` is launched for an attention of some shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttendShape {
    /// Query heads of a block.
    pub group: u32,
    /// Splits, key heads, blocks that share a key head.
    pub grid: [u32; 3],
    /// Bytes of shared memory.
    pub shared: u32,
}

/// Threads of a block of `attend`.
pub const ATTEND_THREADS: u32 = 256;

impl AttendShape {
    /// The shape for `a`, or `None` where the kernel does not take it (`cuda/attention/decode.cuh`).
    pub fn of(a: &Attention, multiprocessors: u32) -> Option<Self> {
        let fits = a.head_dim.is_multiple_of(8)
            && a.head_dim_v.is_multiple_of(4)
            && a.head_dim <= 1024
            && a.head_dim_v <= 1024;
        if !fits {
            return None;
        }
        let shared_by = (a.n_head / a.n_head_kv) as u32;
        let group = shared_by.next_power_of_two().min(8);
        let (keys, side_by_side) = (a.n_head_kv as u32, shared_by.div_ceil(group));
        let splits = (multiprocessors / (keys * side_by_side)).max(1);
        let lanes = ATTEND_THREADS as usize / (a.head_dim_v / 4);
        let shared = 4 * group as usize * a.head_dim.max(lanes * a.head_dim_v);
        (shared <= 64 << 10).then_some(Self {
            group,
            grid: [splits, keys, side_by_side],
            shared: shared as u32,
        })
    }
}

/// Where each thing lies, as offsets.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// By rotating node: cosines and sines at this position. Nodes that turn alike share them.
    tables: BTreeMap<usize, usize>,
    /// For one rotation that is computed alone.
    table: usize,
    /// Partial mixtures.
    partial: usize,
    maxima: usize,
    sums: usize,
    mixtures: usize,
    finished: usize,
    /// Bytes in all.
    pub bytes: usize,
}

impl Places {
    /// What those nodes of `graph` need.
    pub fn new(graph: &Graph, nodes: &Range<usize>, multiprocessors: u32) -> Self {
        let mut places = Self::default();
        let mut known: Vec<(Rope, usize)> = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate().take(nodes.end).skip(nodes.start) {
            let Op::Rope(rope) = &node.op else { continue };
            let alike = Rope { heads: 0, head_dim: 0, ..rope.clone() };
            let same = known.iter().find(|(r, _)| *r == alike).map(|&(_, at)| at);
            let at = same.unwrap_or_else(|| {
                let at = places.take(rope.n_rot / 2 * 16);
                known.push((alike, at));
                at
            });
            places.tables.insert(index, at);
        }
        let (mut table, mut partial) = (0, 0);
        let mut most = [0; 4];
        for node in &graph.nodes[nodes.clone()] {
            match &node.op {
                Op::Rope(rope) => table = table.max(rope.n_rot / 2 * 16),
                Op::Mix(a) => {
                    partial = partial.max(SPLITS as usize * node.width * 4);
                    let Some(shape) = AttendShape::of(a, multiprocessors) else { continue };
                    let splits = shape.grid[0] as usize;
                    let needs = [
                        (splits + 1) * a.n_head * 8,
                        (splits + 1) * a.n_head * 4,
                        splits * a.n_head * a.head_dim_v * 4,
                        (shape.grid[1] * shape.grid[2]) as usize * 4,
                    ];
                    for (most, needs) in most.iter_mut().zip(needs) {
                        *most = needs.max(*most);
                    }
                }
                _ => {}
            }
        }
        places.table = places.take(table);
        places.partial = places.take(partial);
        [places.maxima, places.sums, places.mixtures, places.finished] = most.map(|bytes| places.take(bytes));
        places
    }

    fn take(&mut self, bytes: usize) -> usize {
        let at = self.bytes;
        self.bytes = (at + bytes).next_multiple_of(ALIGNMENT);
        at
    }
}

/// The memory itself, for some positions at once. Zero at first; what counts in it is zero again after each launch.
pub struct Scratch {
    places: Places,
    buffer: Buffer,
}

/// What one position has of it.
#[derive(Clone, Copy, Debug)]
pub struct ScratchAt<'a> {
    places: &'a Places,
    base: u64,
}

impl Scratch {
    /// Allocates it for `columns` positions.
    pub fn new(device: &Device, places: Places, columns: usize) -> Result<Self, CudaError> {
        let buffer = Buffer::new(device, places.bytes * columns, "partial sums")?;
        Ok(Self { places, buffer })
    }

    /// What position number `column` of a batch has of it.
    pub fn column(&self, column: usize) -> ScratchAt<'_> {
        ScratchAt { places: &self.places, base: self.buffer.address() + (column * self.places.bytes) as u64 }
    }
}

impl ScratchAt<'_> {
    fn at(self, offset: usize) -> u64 {
        self.base + offset as u64
    }

    /// Tables of all rotating nodes: a node of each kind with its table's address.
    pub fn tables(self) -> BTreeMap<u64, usize> {
        self.places.tables.iter().rev().map(|(&node, &at)| (self.at(at), node)).collect()
    }

    /// The table of rotating node number `node`.
    pub fn table_of(self, node: usize) -> Option<u64> {
        self.places.tables.get(&node).map(|&at| self.at(at))
    }

    /// A table for one rotation alone.
    pub fn table(self) -> u64 {
        self.at(self.places.table)
    }

    /// Partial mixtures of one attention alone.
    pub fn partial(self) -> u64 {
        self.at(self.places.partial)
    }

    /// `attend`'s maxima, sums, mixtures and counters.
    pub fn attend(self) -> [u64; 4] {
        let p = self.places;
        [p.maxima, p.sums, p.mixtures, p.finished].map(|at| self.at(at))
    }
}
