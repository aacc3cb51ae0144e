//! The CUDA backend: executes a graph on one GPU or several, token by token or in batches.
//!
//! Everything is loaded when it is first needed, so one binary serves machines with and without a GPU.
//! A step is one captured graph of launches on each device that reads its token and position from device memory.
//! Outputs lie in an arena where the kernels put them; what is captured comes home in one transfer.

mod arena;
mod arguments;
mod budget;
pub mod cache;
mod compile;
pub mod device;
mod engine;
mod error;
mod eval;
mod graph;
mod header;
mod history;
mod kernels;
mod launch;
mod layout;
pub mod library;
mod memory;
mod operations;
mod options;
mod plan;
mod room;
mod scratch;
mod show;
pub mod sources;
mod split;
mod stage;
mod weights;

pub use self::engine::{CudaEngine, Opening};
pub use self::error::CudaError;
pub use self::options::{CudaOptions, MEMORY_VARIABLE, Memory, SPLIT_VARIABLE, Split};
