//! Comparing two runs: are they the same computation, is the instrument sound, what is covered,
//! and where do they first differ by more than noise.

pub mod align;
pub mod cell;
mod cells;
pub mod column;
pub mod comparison;
pub mod correlate;
pub mod evaluate;
pub mod evidence;
pub mod expect;
mod figures;
mod judge;
pub mod lineage;
mod lines;
pub mod logits;
pub mod metrics;
pub mod noise;
mod reading;
pub mod repeats;
pub mod rounding;
mod settling;
pub mod tolerance;
pub mod verdict;
mod weights;

pub use cell::{CellMetrics, CellResult, CellState, Severity};
pub use cells::Cells;
pub use column::Column;
pub use comparison::Comparison;
pub use figures::Figures;
pub use logits::{LogitMetrics, Ranked, Ranking, TopEntry, TopK, logit_metrics, top_k};
pub use settling::{Settled, Settling};
pub use verdict::{Divergence, Verdict};
