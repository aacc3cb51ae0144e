//! The real llama.cpp as reference: a thin safe layer over its public C API, and the tap that turns
//! the nodes of its graph into paritty's checkpoints. Nothing of llama.cpp is patched.
//!
//! [`names`], [`resolve`] and [`rows`] are pure and know no C; [`node`] is the only view of a ggml
//! tensor; [`context`] owns the callbacks.

pub mod context;
pub mod graph_node;
pub mod log;
pub mod model;
pub mod names;
pub mod node;
pub mod quantize;
pub mod record;
pub mod resolve;
pub mod rows;
pub mod run;
pub mod sample;
pub mod turned;
pub mod weights;

use std::ffi::CStr;
use std::path::PathBuf;

pub use context::{Context, ContextSettings};
pub use model::{LoadSettings, Model};
pub use run::{LlamaRun, RunSettings};

/// Why llama.cpp could not do what was asked. Reasons are llama.cpp's own words, taken from its log.
#[derive(Debug, thiserror::Error)]
pub enum LlamaError {
    /// The model file was refused.
    #[error("{}: llama.cpp cannot load this model: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// llama.cpp's reason.
        reason: String,
    },
    /// The context was refused: settings that do not go together, or not enough memory.
    #[error("llama.cpp refuses these settings: {0}")]
    Context(String),
    /// A batch failed.
    #[error("llama.cpp failed at position {position} (code {code}): {reason}")]
    Decode {
        /// First position of the batch.
        position: usize,
        /// What `llama_decode` returned.
        code: i32,
        /// llama.cpp's reason.
        reason: String,
    },
    /// The quantiser failed.
    #[error("{}: llama.cpp cannot quantise this model: {reason}", path.display())]
    Quantize {
        /// The file read.
        path: PathBuf,
        /// llama.cpp's reason.
        reason: String,
    },
    /// A request that makes no sense for this model or these settings.
    #[error("{0}")]
    Request(String),
    /// A node of llama.cpp's graph does not look as this version of paritty expects.
    #[error("llama.cpp node `{node}`: {problem}; paritty knows another version of llama.cpp's graph")]
    Node {
        /// What llama.cpp calls the node.
        node: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Decoding was stopped by a signal.
    #[error("interrupted")]
    Interrupted,
    /// Whoever receives the records failed.
    #[error(transparent)]
    Sink(#[from] crate::trace::TraceError),
}

/// Version of the llama.cpp that is linked in, with the version and commit of its ggml.
pub fn build() -> String {
    // SAFETY: these return pointers to static, NUL-terminated strings.
    #[allow(unsafe_code)]
    let [llama, ggml, commit] = unsafe {
        [
            CStr::from_ptr(llama_cpp_sys_2::llama_version()),
            CStr::from_ptr(llama_cpp_sys_2::ggml_version()),
            CStr::from_ptr(llama_cpp_sys_2::ggml_commit()),
        ]
    }
    .map(CStr::to_string_lossy);
    format!("llama.cpp {llama}, ggml {ggml} ({commit})")
}

/// The first GPU that llama.cpp was built for and finds: kind of backend (`CUDA`, `Vulkan` …) and what it is.
pub fn gpu() -> Option<(String, String)> {
    use llama_cpp_sys_2 as sys;
    // SAFETY: devices and what they are called live as long as the process.
    #[allow(unsafe_code)]
    unsafe {
        let device = [sys::GGML_BACKEND_DEVICE_TYPE_GPU, sys::GGML_BACKEND_DEVICE_TYPE_IGPU]
            .into_iter()
            .map(|kind| sys::ggml_backend_dev_by_type(kind))
            .find(|device| !device.is_null())?;
        let kind = CStr::from_ptr(sys::ggml_backend_reg_name(sys::ggml_backend_dev_backend_reg(device)));
        let what = CStr::from_ptr(sys::ggml_backend_dev_description(device));
        Some((kind.to_string_lossy().into_owned(), what.to_string_lossy().into_owned()))
    }
}

/// The instruction sets and options that llama.cpp was built with and found on this machine.
pub fn system_info() -> String {
    // SAFETY: returns a pointer to a static buffer that is filled before it returns; only the thread
    // that sets up a run calls it.
    #[allow(unsafe_code)]
    let info = unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()) };
    info.to_string_lossy().trim().trim_end_matches('|').trim().to_owned()
}
