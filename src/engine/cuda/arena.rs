//! Where steps write, on the device and at home.
//!
//! There are two arenas for steps: while one computes, the checkpoints of the step before travel. A batch has one
//! for each position.

use std::ops::Range;

use cudarc::driver::{CudaEvent, result};

use super::device::Device;
use super::error::CudaError;
use super::memory::{Buffer, Pinned};

/// Arenas of one size beside each other on a device.
pub struct Arenas {
    buffer: Buffer,
    stride: usize,
    ways: Vec<Way>,
}

/// The way home from one arena.
struct Way {
    computed: CudaEvent,
    arrived: CudaEvent,
}

impl Arenas {
    /// As many as `count`, of `bytes` each (a multiple of what vectors are aligned to).
    pub fn new(device: &Device, count: usize, bytes: usize) -> Result<Self, CudaError> {
        let event = || device.context.new_event(None).map_err(CudaError::driver("cannot make an event"));
        let way = |_| Ok(Way { computed: event()?, arrived: event()? });
        Ok(Self {
            buffer: Buffer::new(device, count * bytes, "checkpoints")?,
            stride: bytes,
            ways: (0..count).map(way).collect::<Result<_, CudaError>>()?,
        })
    }

    /// Address of arena number `index`.
    pub fn address(&self, index: usize) -> u64 {
        self.buffer.address() + (index * self.stride) as u64
    }

    /// Bytes from one to the next.
    pub fn stride(&self) -> u64 {
        self.stride as u64
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ways.len()
    }

    /// Sends home what the stream of steps has put into arena number `index` by now: `first` on the stream itself,
    /// `rest` on the other one, beside whatever comes next.
    pub fn send_home(
        &self,
        device: &Device,
        index: usize,
        home: &mut Home,
        first: &Range<usize>,
        rest: &[Range<usize>],
    ) -> Result<(), CudaError> {
        let failed = || CudaError::driver("cannot bring results home");
        let way = &self.ways[index];
        if rest.iter().any(|range| !range.is_empty()) {
            way.computed.record(&device.stream).map_err(failed())?;
            device.copies.wait(&way.computed).map_err(failed())?;
        }
        let all = rest.iter().map(|range| (range, &device.copies)).chain([(first, &device.stream)]);
        for (range, stream) in all.filter(|(range, _)| !range.is_empty()) {
            let from = self.address(index) + range.start as u64;
            // SAFETY: the range lies in the live buffer; the locked memory lives as long as the engine, which reads
            // it only after it has waited for the stream or for `wait_rest`.
            #[allow(unsafe_code)]
            unsafe { result::memcpy_dtoh_async(home.part(range), from, stream.cu_stream()) }
                .map_err(failed())?;
        }
        way.arrived.record(&device.copies).map_err(failed())
    }

    /// Waits for the rest.
    pub fn wait_rest(&self, index: usize) -> Result<(), CudaError> {
        let arrived = self.ways[index].arrived.synchronize();
        arrived.map_err(CudaError::driver("the device failed while results travelled"))
    }
}

/// An arena's copy on the host, of the part that travels.
pub struct Home {
    memory: Pinned,
    /// The first byte of the arena that it has.
    start: usize,
}

impl Home {
    /// For those bytes of an arena.
    pub fn new(device: &Device, travels: &Range<usize>) -> Result<Self, CudaError> {
        Ok(Self { memory: Pinned::new(&device.context, travels.len())?, start: travels.start })
    }

    fn part(&mut self, range: &Range<usize>) -> &mut [u8] {
        &mut self.memory.bytes_mut()[range.start - self.start..][..range.len()]
    }

    /// What has arrived, by its bytes in the arena.
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.memory.bytes()[range.start - self.start..range.end - self.start]
    }

    /// The same as values.
    pub fn values(&self, range: &Range<usize>) -> &[f32] {
        bytemuck::cast_slice(self.bytes(range))
    }
}
