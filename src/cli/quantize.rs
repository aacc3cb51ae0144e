//! `paritty quantize`: llama.cpp's own quantiser.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;

/// Convert a model's weights with llama.cpp's own quantiser.
///
/// Types: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K_M, Q4_K_S, Q4_K_M, Q5_K_M, Q6_K,
/// IQ4_NL, IQ4_XS and more. From a quantised file, F32 holds exactly the weights that it stands for.
#[derive(Debug, Args)]
pub struct QuantizeArgs {
    /// Model file (GGUF) to read
    input: PathBuf,
    /// Model file to write
    output: PathBuf,
    /// Mix of weight types
    #[arg(value_name = "TYPE")]
    mix: String,
    /// Give every tensor the main type of the mix
    #[arg(long)]
    pure: bool,
    /// Threads [default: all]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Show llama.cpp's log on standard error
    #[arg(long)]
    verbose: bool,
}

impl QuantizeArgs {
    /// Runs the command.
    #[cfg(feature = "llama-cpp")]
    pub fn run(self) -> anyhow::Result<Outcome> {
        use crate::llama_cpp::{log, quantize};

        log::set_verbose(self.verbose);
        quantize::quantize(&self.input, &self.output, &self.mix, self.pure, self.threads)?;
        Ok(Outcome::Ok)
    }

    /// Runs the command.
    #[cfg(not(feature = "llama-cpp"))]
    #[expect(clippy::unused_self, reason = "the same call in every build")]
    pub fn run(self) -> anyhow::Result<Outcome> {
        anyhow::bail!(super::trace::NO_LLAMA_CPP)
    }
}
