//! What a model needs of a device's memory, before any of it is taken.

use std::ops::Range;
use std::sync::Arc;

use super::CudaOptions;
use super::device::{self, Device};
use super::error::CudaError;
use super::history::{self, Format};
use super::layout::Layout;
use super::scratch::Places;
use super::{split, weights};
use crate::engine::EngineError;
use crate::gguf::Gguf;
use crate::model::Graph;

/// Positions that the cache has room for at first; doubled when they are used up.
const FIRST_CAPACITY: usize = 512;
/// Positions of a batch at most, and bytes that their arenas take at most: larger batches come in parts.
const MOST_COLUMNS: usize = 64;
const MOST_BATCH: usize = 1 << 30;

/// A part of the model and the device that it goes to.
pub struct Part {
    /// The device.
    pub device: Device,
    /// The part.
    pub nodes: Range<usize>,
}

/// What is to be opened.
pub struct Room<'a> {
    gguf: &'a Arc<Gguf>,
    graph: &'a Graph,
    /// Number format of the cache.
    pub format: Format,
    /// Positions that the cache has room for.
    pub capacity: usize,
    /// Positions that are computed at once at most; 0: no batches.
    pub columns: usize,
}

impl<'a> Room<'a> {
    /// As the options ask for it.
    pub fn new(gguf: &'a Arc<Gguf>, graph: &'a Graph, options: &CudaOptions) -> Self {
        let wanted = if options.positions == 0 { FIRST_CAPACITY } else { options.positions };
        let capacity = wanted.max(options.batch).min(graph.n_ctx).max(1);
        let format = if options.kv_f16 { Format::F16 } else { Format::F32 };
        let fitting = MOST_BATCH / arena(graph, capacity).max(1);
        let columns = options.batch.min(capacity).min(MOST_COLUMNS).min(fitting.max(2));
        let columns = if columns < 2 { 0 } else { columns };
        Self { gguf, graph, format, capacity, columns }
    }

    /// Bytes that `nodes` need with a cache of `positions`.
    fn of(&self, nodes: &Range<usize>, multiprocessors: u32, positions: usize) -> Result<u64, EngineError> {
        let weights = weights::Plan::new(self.gguf, self.graph, nodes)?.bytes();
        let scratch = Places::new(self.graph, nodes, multiprocessors).bytes * self.columns.max(1);
        let arenas = (2 + self.columns) * arena(self.graph, positions);
        Ok(weights
            + scratch as u64
            + arenas as u64
            + history::bytes(self.graph, nodes, self.format, positions))
    }

    /// The parts of the model and their devices: as the shares say, otherwise as few devices as it fits. Fails,
    /// with what would fit, where there is too little room.
    pub fn parts(&self, options: &CudaOptions) -> Result<Vec<Part>, EngineError> {
        let limit = options.memory.map(|memory| memory.0);
        let open = |index: usize| Device::open(options.device + index, limit);
        if let Some(split) = &options.split {
            let mut parts = Vec::new();
            for (index, nodes) in split::by_shares(self.graph, split.shares()) {
                let device = open(index)?;
                let (free, total) = device.memory()?;
                let needed = self.of(&nodes, device.about.multiprocessors, self.capacity)?;
                if needed > free {
                    let what = format!(
                        "the part of {} on device {}",
                        self.gguf.path().display(),
                        device.about.ordinal
                    );
                    let hint = "give this device a smaller share, or leave --split out".into();
                    return Err(CudaError::OutOfMemory { what, needed, free, total, hint }.into());
                }
                parts.push(Part { device, nodes });
            }
            return Ok(parts);
        }
        let first = open(0)?;
        let (free, total) = first.memory()?;
        let all = 0..self.graph.nodes.len();
        if self.of(&all, first.about.multiprocessors, self.capacity)? <= free {
            return Ok(vec![Part { device: first, nodes: all }]);
        }
        let found = device::count()?.saturating_sub(options.device);
        let devices = (0..found).map(open).collect::<Result<Vec<_>, _>>()?;
        let room = devices.iter().map(Device::memory).collect::<Result<Vec<_>, _>>()?;
        let fits = |index: usize, nodes: &Range<usize>| {
            let needed = self.of(nodes, devices[index].about.multiprocessors, self.capacity)?;
            Ok::<_, EngineError>(needed <= room[index].0)
        };
        if let Some(parts) = split::by_room(self.graph, devices.len(), fits)? {
            return Ok(parts
                .into_iter()
                .map(|(index, nodes)| Part { device: devices[index].clone(), nodes })
                .collect());
        }
        let (free, total) = if devices.len() > 1 {
            room.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        } else {
            (free, total)
        };
        Err(self.too_large(first.about.multiprocessors, devices.len(), (free, total))?.into())
    }

    /// The error of a model that does not fit: what would.
    fn too_large(
        &self,
        multiprocessors: u32,
        devices: usize,
        (free, total): (u64, u64),
    ) -> Result<CudaError, EngineError> {
        let all = 0..self.graph.nodes.len();
        let of = |positions: usize| self.of(&all, multiprocessors, positions);
        let mut fitting = None;
        for bits in (0..self.capacity.max(2).ilog2()).rev() {
            if of(1 << bits)? <= free {
                fitting = Some(1_usize << bits);
                break;
            }
        }
        let weights = weights::Plan::new(self.gguf, self.graph, &all)?.bytes();
        let rest = of(1)?.saturating_sub(weights);
        let hint = match fitting {
            // Split over devices, whole layers are left over on each.
            Some(_) if devices > 1 => "but no split of its layers fits every device".into(),
            Some(positions) => format!("a cache of {positions} positions would fit"),
            None if free > rest => {
                let percent = ((free - rest) as f64 / weights.max(1) as f64 * 100.0).floor();
                format!(
                    "its weights alone are too large; quantised to {percent:.0} % of their size they would fit"
                )
            }
            None => "not even one position would fit, whatever its weights".into(),
        };
        let of_devices = if devices > 1 { format!(" on {devices} devices") } else { String::new() };
        let path = self.gguf.path().display();
        let what = format!("{path} with a cache of {} positions{of_devices}", self.capacity);
        Ok(CudaError::OutOfMemory { what, needed: of(self.capacity)?, free, total, hint })
    }
}

/// Bytes of one arena in which everything is shown.
fn arena(graph: &Graph, positions: usize) -> usize {
    let all = vec![true; graph.nodes.len()];
    [true, false]
        .map(|aliases| Layout::new(graph, all.clone(), positions, aliases).bytes)
        .into_iter()
        .max()
        .unwrap_or(0)
}
