//! One trace looked at as a whole: garbage, statistics, values handed on in order. Passes over the file
//! once, with all cores, in memory that does not grow with it.

mod document;
mod repeated;
mod result;
mod work;

pub use document::{document, explanation};
pub use result::{Analysis, ClassTally, Judgement};
pub use work::{AnalyzeError, Analyzer, Options, Progress};
