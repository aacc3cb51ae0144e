//! The CUDA engine on a GPU, against the CPU engine, the oracle and itself.
//!
//! `cargo test --test cuda -- --ignored` on a machine with a GPU; `tests/gpu.sh` does more. Models are
//! those in `assets/` and random ones made here; `PARITTY_MODELS` names a folder with more.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking; figures are for people"
)]

mod batch;
mod grafts;
mod hostile;
mod memory;
mod oracle;
mod split;
mod statistics;
mod support;
mod taps;
#[allow(dead_code)]
#[path = "../weight_blocks/mod.rs"]
mod weight_blocks;
