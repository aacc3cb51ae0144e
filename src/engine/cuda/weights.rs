//! Weights on the device: matrices in the file's own blocks, vectors widened to f32.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use cudarc::driver::{CudaEvent, result};
use rayon::prelude::*;

use super::device::Device;
use super::error::CudaError;
use super::memory::{ALIGNMENT, Buffer, Pinned};
use crate::engine::cpu::rope_frequencies;
use crate::engine::{EngineError, tensors};
use crate::gguf::{Gguf, TensorInfo, WeightType};
use crate::model::{Graph, Op};

/// Bytes of one transfer: large enough for the bus's speed, small enough that filling and sending overlap
/// from the start.
const PIECE: usize = 8 << 20;
/// Transfers under way or being filled.
const PIECES: usize = 4;
/// Bytes that one thread copies at a time out of the map.
const STRIP: usize = 1 << 20;

/// A matrix on the device.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// Its first byte.
    pub address: u64,
    /// How it is stored.
    pub weight_type: WeightType,
    /// Values of a row.
    pub n_in: usize,
}

impl Matrix {
    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        let format = self.weight_type.format();
        self.n_in / format.block_len * format.block_bytes
    }
}

/// Everything that a graph reads besides activations.
pub struct Weights {
    matrices: HashMap<String, Matrix>,
    vectors: HashMap<String, u64>,
    /// Frequencies of each node that rotates, by its index.
    frequencies: BTreeMap<usize, u64>,
    _buffer: Buffer,
}

/// What is to be loaded, and where it goes.
pub struct Plan<'a> {
    gguf: &'a Gguf,
    matrices: Vec<(&'a TensorInfo, usize)>,
    vectors: Vec<(&'a TensorInfo, usize)>,
    frequencies: Vec<(usize, Vec<f64>, usize)>,
    bytes: usize,
}

impl<'a> Plan<'a> {
    /// Every tensor that those nodes of `graph` name. Shapes were checked when the graph was built.
    pub fn new(gguf: &'a Gguf, graph: &Graph, nodes: &Range<usize>) -> Result<Self, EngineError> {
        let mut plan =
            Self { gguf, matrices: Vec::new(), vectors: Vec::new(), frequencies: Vec::new(), bytes: 0 };
        let (mut matrices, mut vectors) = (BTreeMap::new(), BTreeMap::new());
        for (index, node) in graph.nodes.iter().enumerate().take(nodes.end).skip(nodes.start) {
            let is_matrix = matches!(node.op, Op::Embed | Op::PosEmbed | Op::MatMul);
            for (name, as_matrix) in [(&node.weight, is_matrix), (&node.bias, false)] {
                let Some(name) = name else { continue };
                let info = tensors::info(gguf, name)?;
                gguf.dequantizer(info).map_err(tensors::failed)?;
                if as_matrix {
                    matrices.insert(name, info)
                } else {
                    vectors.insert(name, info)
                };
            }
            if let Op::Rope(rope) = &node.op {
                let factors = match &rope.factors {
                    Some(name) => {
                        let info = tensors::info(gguf, name)?;
                        Some(gguf.to_f32(info).map_err(tensors::failed)?)
                    }
                    None => None,
                };
                let frequencies = rope_frequencies(rope, factors.as_deref());
                let same = plan.frequencies.iter().find(|(_, known, _)| *known == frequencies);
                let at = match same {
                    Some(&(_, _, at)) => at,
                    None => place(&mut plan.bytes, frequencies.len() * 8),
                };
                plan.frequencies.push((index, frequencies, at));
            }
        }
        for info in vectors.into_values() {
            let at = place(&mut plan.bytes, info.elements() as usize * 4);
            plan.vectors.push((info, at));
        }
        for info in matrices.into_values() {
            let at = place(&mut plan.bytes, info.bytes as usize);
            plan.matrices.push((info, at));
        }
        Ok(plan)
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// Types of the matrices.
    pub fn types(&self) -> impl Iterator<Item = WeightType> {
        self.matrices.iter().map(|(info, _)| info.weight_type)
    }

    /// Loads everything, and tells `progress` of bytes sent and of all.
    pub fn load(self, device: &Device, progress: &mut dyn FnMut(u64, u64)) -> Result<Weights, EngineError> {
        // Kernels fetch whole pieces of 16 bytes, so perhaps a few beyond the last row.
        let buffer = Buffer::new(device, self.bytes + ALIGNMENT, "weights")?;
        let at = |offset: usize| buffer.address() + offset as u64;
        let mut pipe = Pipe::new(device)?;
        let mut sent = 0;
        for (_, frequencies, offset) in &self.frequencies {
            pipe.send(at(*offset), bytemuck::cast_slice(frequencies), &mut |_| {})?;
        }
        for (info, offset) in &self.vectors {
            let values = self.gguf.to_f32(info).map_err(tensors::failed)?;
            pipe.send(at(*offset), bytemuck::cast_slice(&values), &mut |_| {})?;
        }
        for (info, offset) in &self.matrices {
            pipe.send(at(*offset), self.gguf.data(info), &mut |bytes| {
                sent += bytes as u64;
                progress(sent, self.bytes as u64);
            })?;
        }
        device.wait()?;
        Ok(Weights {
            matrices: self
                .matrices
                .iter()
                .map(|(info, offset)| {
                    (
                        info.name.clone(),
                        Matrix { address: at(*offset), weight_type: info.weight_type, n_in: info.row_len() },
                    )
                })
                .collect(),
            vectors: self.vectors.iter().map(|(info, offset)| (info.name.clone(), at(*offset))).collect(),
            frequencies: self.frequencies.iter().map(|(index, _, offset)| (*index, at(*offset))).collect(),
            _buffer: buffer,
        })
    }
}

impl Weights {
    /// The matrix of that name.
    pub fn matrix(&self, name: Option<&str>) -> Result<Matrix, CudaError> {
        name.and_then(|name| self.matrices.get(name))
            .copied()
            .ok_or_else(|| CudaError::Unsupported(format!("matrix {name:?} is not loaded")))
    }

    /// Address of the vector of that name; 0 where a node has none.
    pub fn vector(&self, name: Option<&str>) -> u64 {
        name.and_then(|name| self.vectors.get(name)).copied().unwrap_or(0)
    }

    /// Address of the frequencies of the node with that index.
    pub fn frequencies(&self, node: usize) -> Result<u64, CudaError> {
        self.frequencies
            .get(&node)
            .copied()
            .ok_or_else(|| CudaError::Unsupported(format!("node {node} has no frequencies")))
    }
}

/// Sends bytes through locked memory: some threads fill one piece while others travel.
struct Pipe<'a> {
    device: &'a Device,
    pieces: Vec<(Pinned, CudaEvent)>,
    next: usize,
}

impl<'a> Pipe<'a> {
    fn new(device: &'a Device) -> Result<Self, CudaError> {
        let pieces = (0..PIECES)
            .map(|_| {
                let event =
                    device.context.new_event(None).map_err(CudaError::driver("cannot make an event"))?;
                Ok((Pinned::new(&device.context, PIECE)?, event))
            })
            .collect::<Result<Vec<_>, CudaError>>()?;
        Ok(Self { device, pieces, next: 0 })
    }

    fn send(&mut self, to: u64, bytes: &[u8], progress: &mut dyn FnMut(usize)) -> Result<(), CudaError> {
        let failed = || CudaError::driver("cannot send weights to the device");
        for (i, piece) in bytes.chunks(PIECE).enumerate() {
            let (staging, sent) = &mut self.pieces[self.next];
            self.next = (self.next + 1) % PIECES;
            sent.synchronize().map_err(failed())?;
            let staged = &mut staging.bytes_mut()[..piece.len()];
            staged
                .par_chunks_mut(STRIP)
                .zip(piece.par_chunks(STRIP))
                .for_each(|(to, from)| to.copy_from_slice(from));
            // SAFETY: the target lies in a live buffer with room for the piece, and the staging memory is
            // not written again before the event after the transfer.
            #[allow(unsafe_code)]
            unsafe {
                result::memcpy_htod_async(to + (i * PIECE) as u64, staged, self.device.stream.cu_stream())
            }
            .map_err(failed())?;
            sent.record(&self.device.stream).map_err(failed())?;
            progress(piece.len());
        }
        Ok(())
    }
}

impl Drop for Pipe<'_> {
    /// Nothing may be under way when the staging memory goes.
    fn drop(&mut self) {
        let _ = self.device.stream.synchronize();
    }
}

/// Takes the next place of `bytes` bytes.
fn place(end: &mut usize, bytes: usize) -> usize {
    let at = end.next_multiple_of(ALIGNMENT);
    *end = at + bytes;
    at
}
