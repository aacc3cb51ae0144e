//! Memory on the device, and host memory that the device reads and writes directly.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{CU_MEMHOSTALLOC_PORTABLE, CUresult};
use cudarc::driver::{CudaContext, result};
use indicatif::HumanBytes;

use super::budget::Budget;
use super::device::Device;
use super::error::CudaError;

/// Alignment of whatever lies in device memory: what the driver itself gives.
pub const ALIGNMENT: usize = 256;

/// An allocation on the device.
pub struct Buffer {
    address: u64,
    bytes: u64,
    context: Arc<CudaContext>,
    budget: Arc<Budget>,
}

impl Buffer {
    /// Allocates `bytes` (at least one), filled with zeros. `what` names it in the error.
    pub fn new(device: &Device, bytes: usize, what: &str) -> Result<Self, CudaError> {
        let bytes = bytes.max(1);
        let failed = || CudaError::driver(format!("cannot allocate {} for {what}", HumanBytes(bytes as u64)));
        let (context, budget) = (Arc::clone(&device.context), Arc::clone(&device.budget));
        context.bind_to_thread().map_err(failed())?;
        let (free, total) = device.memory()?;
        let full = || CudaError::OutOfMemory {
            what: what.to_owned(),
            needed: bytes as u64,
            free,
            total,
            hint: "fewer positions or checkpoints, or a device with more memory".into(),
        };
        if bytes as u64 > free {
            return Err(full());
        }
        // SAFETY: a fresh allocation of that size, owned here until it is freed once in `drop`.
        #[allow(unsafe_code)]
        let buffer = unsafe {
            let address = match result::malloc_sync(bytes) {
                Err(e) if e.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY => return Err(full()),
                other => other.map_err(failed())?,
            };
            budget.take(bytes as u64);
            let buffer = Self { address, bytes: bytes as u64, context, budget };
            result::memset_d8_sync(address, 0, bytes).map_err(failed())?;
            buffer
        };
        Ok(buffer)
    }

    /// Its first byte's address on the device.
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bound = self.context.bind_to_thread();
        // SAFETY: allocated by malloc_sync and freed once. cuMemFree waits for work that uses it.
        #[allow(unsafe_code)]
        let freed = unsafe { result::free_sync(self.address) };
        self.budget.give_back(self.bytes);
        self.context.record_err(bound.and(freed));
    }
}

/// Page-locked host memory, for all devices: transfers run at the bus's speed and beside other work.
pub struct Pinned {
    data: *mut u8,
    bytes: usize,
    context: Arc<CudaContext>,
}

// SAFETY: plain memory that is owned; access goes through `&self` and `&mut self`.
#[allow(unsafe_code)]
unsafe impl Send for Pinned {}

impl Pinned {
    /// Allocates `bytes` (at least one), filled with zeros. Cached by the processor: write-combined
    /// memory, which is the bindings' default, is slow to read.
    pub fn new(context: &Arc<CudaContext>, bytes: usize) -> Result<Self, CudaError> {
        let bytes = bytes.max(1);
        let failed = || CudaError::driver(format!("cannot lock {} of host memory", HumanBytes(bytes as u64)));
        context.bind_to_thread().map_err(failed())?;
        // SAFETY: a fresh allocation of that size, aligned for any type, set before it is read.
        #[allow(unsafe_code)]
        let data = unsafe {
            let data = result::malloc_host(bytes, CU_MEMHOSTALLOC_PORTABLE).map_err(failed())?.cast::<u8>();
            data.write_bytes(0, bytes);
            data
        };
        Ok(Self { data, bytes, context: Arc::clone(context) })
    }

    /// Its content. Nothing may be on its way into it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: owned, initialised, `bytes` long.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.data, self.bytes)
        }
    }

    /// Its content. Nothing may be on its way into or out of it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.data, self.bytes)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let bound = self.context.bind_to_thread();
        // SAFETY: allocated by malloc_host and freed once.
        #[allow(unsafe_code)]
        let freed = unsafe { result::free_host(self.data.cast::<c_void>()) };
        self.context.record_err(bound.and(freed));
    }
}
