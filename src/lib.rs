//! paritty finds where an LLM inference engine stops agreeing with a reference, while both run.

pub mod analyze;
pub mod audit;
pub mod cli;
pub mod compare;
pub mod csv;
pub mod diagnose;
pub mod document;
pub mod engine;
pub mod export;
pub mod fault;
pub mod figures;
pub mod garbage;
pub mod gguf;
#[cfg(feature = "llama-cpp")]
pub mod llama_cpp;
pub mod model;
pub mod mutate;
pub mod palette;
pub mod plot;
pub mod report;
pub mod score;
pub mod session;
pub mod stats;
pub mod survey;
pub mod synth;
#[cfg(test)]
mod testing;
pub mod text;
pub mod tokenizer;
pub mod trace;
pub mod tui;
pub mod wording;
