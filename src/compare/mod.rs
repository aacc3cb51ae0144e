//! Comparing two runs: are they the same computation, is the instrument sound, what is covered,
//! and where do they first differ by more than noise.

pub mod align;
pub mod cell;
pub mod comparison;
pub mod logits;
pub mod noise;
pub mod verdict;

pub use cell::{CellMetrics, CellResult, CellState, Severity};
pub use comparison::{Column, Comparison};
pub use logits::{LogitMetrics, TopEntry, TopK};
pub use verdict::{Divergence, Verdict};
