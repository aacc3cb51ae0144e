//! A kernel with its grid and its arguments, ready to run.

use std::ffi::{c_char, c_void};
use std::ptr;

use bytemuck::NoUninit;
use cudarc::driver::sys::{
    self, CUlaunchAttribute, CUlaunchAttributeID, CUlaunchAttributeValue, CUlaunchConfig,
};
use cudarc::driver::{CudaFunction, CudaStream};

use super::arguments::Columns;
use super::error::CudaError;

/// Arguments of a kernel, each in slots of eight bytes of its own.
#[derive(Clone, Debug, Default)]
pub struct Args {
    slots: Vec<u64>,
    starts: Vec<usize>,
}

impl Args {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one argument. Its type has to be the kernel's.
    #[must_use]
    pub fn with<T: NoUninit>(mut self, value: T) -> Self {
        let start = self.slots.len();
        self.slots.resize(start + size_of::<T>().div_ceil(8).max(1), 0);
        bytemuck::cast_slice_mut(&mut self.slots[start..])[..size_of::<T>()]
            .copy_from_slice(bytemuck::bytes_of(&value));
        self.starts.push(start);
        self
    }
}

/// A kernel that does what another one does for some positions of a batch at once, given the same arguments and
/// where the positions lie.
#[derive(Clone, Debug)]
pub struct Several {
    /// The kernel.
    pub function: CudaFunction,
    /// Warps of a block.
    pub warps: u32,
    /// Bytes of shared memory for each warp.
    pub warp_bytes: u32,
    /// Bytes of shared memory for each position.
    pub column_bytes: u32,
    /// Positions that it takes at most.
    pub most: usize,
}

/// One launch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The kernel.
    pub function: CudaFunction,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads along x and y.
    pub block: [u32; 2],
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// Its arguments.
    pub args: Args,
    /// The same for several positions, where there is such a kernel.
    pub several: Option<Several>,
}

impl Launch {
    /// Positions that one launch can do this for.
    pub fn columns(&self) -> usize {
        self.several.as_ref().map_or(1, |several| several.most)
    }

    /// This for the first `count` positions whose arenas follow each other from `begin` on, `stride` bytes apart.
    /// The arguments are those of the first.
    pub fn over(&self, begin: u64, stride: u64, count: usize) -> Self {
        let Some(several) = &self.several else { return self.clone() };
        let columns = Columns { begin, stride, count: count as i32, padding: 0 };
        Self {
            function: several.function.clone(),
            grid: self.grid,
            block: [32 * several.warps, 1],
            shared: several.warp_bytes * several.warps + several.column_bytes * count as u32,
            args: self.args.clone().with(columns),
            several: None,
        }
    }

    /// Puts it on the stream. With `overlap` it may start before the launch in front of it has ended:
    /// every kernel waits by itself before it touches what another one does (`cuda/overlap.cuh`).
    pub fn run(&self, stream: &CudaStream, overlap: bool) -> Result<(), CudaError> {
        let mut slots = self.args.slots.clone();
        let mut pointers: Vec<*mut c_void> =
            self.args.starts.iter().map(|&start| (&raw mut slots[start]).cast()).collect();
        let mut allowed = CUlaunchAttribute {
            id: CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0 as c_char; 4],
            value: CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
        };
        let config = CUlaunchConfig {
            gridDimX: self.grid[0],
            gridDimY: self.grid[1],
            gridDimZ: self.grid[2],
            blockDimX: self.block[0],
            blockDimY: self.block[1],
            blockDimZ: 1,
            sharedMemBytes: self.shared,
            hStream: stream.cu_stream(),
            attrs: &raw mut allowed,
            numAttrs: u32::from(overlap),
        };
        // SAFETY: the planner made the arguments for this kernel: number, order and sizes agree with its
        // parameters, addresses are of live buffers large enough for the grid. The driver copies the
        // arguments and attributes before it returns.
        #[allow(unsafe_code)]
        let launched = unsafe {
            sys::cuLaunchKernelEx(
                &raw const config,
                self.function.cu_function(),
                pointers.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        launched.result().map_err(CudaError::driver("cannot launch a kernel"))
    }
}
