//! A kernel with its grid and its arguments, ready to run.

use std::ffi::{c_char, c_void};
use std::ptr;

use bytemuck::{NoUninit, Pod, Zeroable};
use cudarc::driver::sys::{
    self, CUlaunchAttribute, CUlaunchAttributeID, CUlaunchAttributeValue, CUlaunchConfig,
};
use cudarc::driver::{CudaFunction, CudaStream};

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
}

impl Launch {
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

/// `struct Input` of `cuda/matvec/product.cuh`. Addresses; 0 is null.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Input {
    pub x: u64,
    pub norm_weight: u64,
    pub norm_bias: u64,
    pub normed: u64,
    pub n: i32,
    pub norm: i32,
    pub eps: f32,
    pub padding: i32,
}

/// `struct Part`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Part {
    pub weight: u64,
    pub bias: u64,
    pub y: u64,
    pub residual: u64,
    pub sum: u64,
    pub n_out: i32,
    pub padding: i32,
}

/// `struct Parts`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Parts {
    pub part: [Part; 3],
    pub count: i32,
    pub padding: i32,
}

/// `struct Gated`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Gated {
    pub gate: Part,
    pub up: Part,
    pub out: u64,
    pub activation: i32,
    pub padding: i32,
}

/// `struct Row` of `cuda/history.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Row {
    pub values: u64,
    pub cache: u64,
    pub width: i32,
    pub shift: i32,
}

/// `struct Turning` of `cuda/rope.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Turning {
    pub table: u64,
    pub head_dim: i32,
    pub pairs: i32,
    pub neox: i32,
    pub padding: i32,
}

/// `struct Turn` of `cuda/rope.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Turn {
    pub x: u64,
    pub out: u64,
    pub scaled: u64,
    pub factor: f32,
    pub heads: i32,
}

/// `struct Attention` of `cuda/attention/decode.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Attend {
    pub step: u64,
    pub query: u64,
    pub keys: u64,
    pub values: u64,
    pub scores: u64,
    pub maxima: u64,
    pub sums: u64,
    pub mixtures: u64,
    pub finished: u64,
    pub out: u64,
    pub queries: i32,
    pub key_heads: i32,
    pub width: i32,
    pub width_v: i32,
    pub window: i32,
    pub cap: f32,
    pub factor: f32,
    pub before: i32,
}

/// `struct Heads` of `cuda/attention/plain.cu`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Heads {
    pub queries: i32,
    pub keys: i32,
    pub width: i32,
    pub width_v: i32,
    pub window: i32,
    pub cap: f32,
    pub factor: f32,
}

/// `struct Step` of `cuda/base.cuh`.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
#[allow(missing_docs, reason = "described where the kernels declare them")]
pub struct Step {
    pub token: i32,
    pub position: i32,
}
