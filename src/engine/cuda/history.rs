//! Keys and values of earlier positions, on the device.

use std::collections::HashMap;
use std::ops::Range;

use cudarc::driver::result;

use super::device::Device;
use super::error::CudaError;
use super::memory::{ALIGNMENT, Buffer};
use crate::model::Graph;

/// Number format of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As computed.
    F32,
    /// Rounded to half precision when stored.
    F16,
}

impl Format {
    /// Ends the names of kernels.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// One node's outputs, position slowest.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// First byte in the buffer.
    offset: usize,
    /// Values of one position.
    pub width: usize,
    /// See [`crate::model::graph::Attention::cache_shift`].
    pub shift: i32,
}

/// The cache of all layers.
pub struct History {
    /// Number format.
    pub format: Format,
    /// Positions that it has room for.
    pub capacity: usize,
    rows: HashMap<usize, Rows>,
    buffer: Buffer,
}

/// Nodes whose outputs those of `nodes` keep, with width and shift.
fn kept(graph: &Graph, nodes: &Range<usize>) -> HashMap<usize, (usize, i32)> {
    let mut kept = HashMap::new();
    for node in &graph.nodes[nodes.clone()] {
        if let (Some(input), Some(attention)) = (node.op.history_input(), node.op.attention()) {
            let id = node.inputs[input];
            kept.insert(id.index(), (graph.node(id).width, attention.cache_shift));
        }
    }
    kept
}

/// Bytes that `positions` of `nodes` take.
pub fn bytes(graph: &Graph, nodes: &Range<usize>, format: Format, positions: usize) -> u64 {
    let each = |(width, shift): &(usize, i32)| room(*width, *shift, positions, format) as u64;
    kept(graph, nodes).values().map(each).sum()
}

/// Bytes of one node's rows. What is stored too late (a fault) needs room behind the last position.
fn room(width: usize, shift: i32, positions: usize, format: Format) -> usize {
    (width * (positions + shift.max(0) as usize) * format.bytes()).next_multiple_of(ALIGNMENT)
}

impl History {
    /// An empty cache for `capacity` positions of what `nodes` read.
    pub fn new(
        device: &Device,
        graph: &Graph,
        nodes: &Range<usize>,
        format: Format,
        capacity: usize,
    ) -> Result<Self, CudaError> {
        let mut nodes: Vec<_> = kept(graph, nodes).into_iter().collect();
        nodes.sort_unstable();
        let (mut rows, mut end) = (HashMap::new(), 0);
        for (node, (width, shift)) in nodes {
            rows.insert(node, Rows { offset: end, width, shift });
            end += room(width, shift, capacity, format);
        }
        let buffer = Buffer::new(device, end, "keys and values")?;
        Ok(Self { format, capacity, rows, buffer })
    }

    /// Address and shape of a node's rows, if it is kept.
    pub fn of(&self, node: usize) -> Option<(u64, Rows)> {
        self.rows.get(&node).map(|rows| (self.buffer.address() + rows.offset as u64, *rows))
    }

    /// Takes over the first `positions` of another cache of the same graph.
    pub fn take_over(&self, device: &Device, other: &Self, positions: usize) -> Result<(), CudaError> {
        for node in self.rows.keys() {
            let (Some((to, rows)), Some((from, _))) = (self.of(*node), other.of(*node)) else { continue };
            let bytes = positions * rows.width * self.format.bytes();
            // SAFETY: both buffers are live and hold as many positions.
            #[allow(unsafe_code)]
            unsafe { result::memcpy_dtod_async(to, from, bytes, device.stream.cu_stream()) }
                .map_err(CudaError::driver("cannot move the cache"))?;
        }
        device.wait()
    }

    /// Forgets what positions from `position` on have left behind. Only rows that were stored too late
    /// (a fault) are ever read again; they are emptied.
    pub fn forget(&self, device: &Device, position: usize) -> Result<(), CudaError> {
        for node in self.rows.keys() {
            let Some((address, rows)) = self.of(*node) else { continue };
            let last = position.saturating_add_signed(rows.shift as isize);
            if last <= position {
                continue;
            }
            let row = rows.width * self.format.bytes();
            // SAFETY: the rows lie in the live buffer.
            #[allow(unsafe_code)]
            unsafe {
                result::memset_d8_async(
                    address + (position * row) as u64,
                    0,
                    (last - position) * row,
                    device.stream.cu_stream(),
                )
            }
            .map_err(CudaError::driver("cannot empty the cache"))?;
        }
        Ok(())
    }
}
