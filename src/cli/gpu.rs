//! What of a machine's GPUs an engine may take: the options of commands that open one.

use clap::Args;

use crate::engine::cuda::{CudaOptions, Memory, Split};

/// See the module. Commands without these options take the variables.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "GPU")]
pub struct GpuArgs {
    /// Memory to take at most on each GPU, such as 2GiB [default: what is free]
    #[arg(long, value_name = "SIZE", env = "PARITTY_GPU_MEMORY", hide_env_values = true)]
    gpu_memory: Option<Memory>,
    /// Shares of the layers for the GPUs from the named one on, such as 1,1 [default: as few GPUs as the
    /// model needs]
    #[arg(long, value_name = "N,N,…", env = "PARITTY_GPU_SPLIT", hide_env_values = true)]
    split: Option<Split>,
}

impl GpuArgs {
    /// For an engine that computes at most `batch` tokens at once and `positions` in all.
    pub fn options(&self, batch: usize, positions: usize) -> CudaOptions {
        CudaOptions {
            memory: self.gpu_memory,
            split: self.split.clone(),
            batch,
            positions,
            ..CudaOptions::default()
        }
    }
}
