//! The arena that steps write into, and its way home.
//!
//! Two of everything: while one step computes, the checkpoints of the step before travel.

use std::ops::Range;

use cudarc::driver::{CudaEvent, result};

use super::device::Device;
use super::error::CudaError;
use super::memory::{Buffer, Pinned};

/// One arena with its copy on the host.
pub struct Arena {
    buffer: Buffer,
    home: Pinned,
    /// First byte that travels: the host's copy begins with it.
    start: usize,
    computed: CudaEvent,
    arrived: CudaEvent,
}

impl Arena {
    /// An arena of `bytes` of which at most those of `travels` come home.
    pub fn new(device: &Device, bytes: usize, travels: &Range<usize>) -> Result<Self, CudaError> {
        let event = || device.context.new_event(None).map_err(CudaError::driver("cannot make an event"));
        Ok(Self {
            buffer: Buffer::new(&device.context, bytes, "checkpoints")?,
            home: Pinned::new(&device.context, travels.len())?,
            start: travels.start,
            computed: event()?,
            arrived: event()?,
        })
    }

    /// Its address on the device.
    pub fn address(&self) -> u64 {
        self.buffer.address()
    }

    /// Sends home what the stream of steps has put there by now: `first` on the stream itself, `rest` on
    /// the other one, beside whatever comes next.
    pub fn send_home(
        &mut self,
        device: &Device,
        first: &Range<usize>,
        rest: &Range<usize>,
    ) -> Result<(), CudaError> {
        let failed = || CudaError::driver("cannot bring results home");
        if !rest.is_empty() {
            self.computed.record(&device.stream).map_err(failed())?;
            device.copies.wait(&self.computed).map_err(failed())?;
        }
        for (range, stream) in [(rest, &device.copies), (first, &device.stream)] {
            if range.is_empty() {
                continue;
            }
            let from = self.buffer.address() + range.start as u64;
            let home = &mut self.home.bytes_mut()[range.start - self.start..][..range.len()];
            // SAFETY: the range lies in the live buffer; the locked memory lives as long as the arena and
            // is read only after `wait_first` or `wait_rest`.
            #[allow(unsafe_code)]
            unsafe { result::memcpy_dtoh_async(home, from, stream.cu_stream()) }.map_err(failed())?;
        }
        self.arrived.record(&device.copies).map_err(failed())
    }

    /// Waits for the rest.
    pub fn wait_rest(&self) -> Result<(), CudaError> {
        self.arrived.synchronize().map_err(CudaError::driver("the device failed while results travelled"))
    }

    /// Values that have arrived, by their bytes in the arena.
    pub fn values(&self, range: &Range<usize>) -> &[f32] {
        bytemuck::cast_slice(&self.home.bytes()[range.start - self.start..range.end - self.start])
    }
}
