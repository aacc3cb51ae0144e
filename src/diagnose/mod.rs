//! The whole argument about one or two runs: are they the same computation, is the instrument sound, which
//! operations are faulty, what kind of mistake is it, and whose.

mod document;

pub use document::{document, sentences};

use std::sync::Arc;

use crate::audit::{Audit, Conclusion};
use crate::compare::{Comparison, Verdict};

/// One run with its audit.
pub struct Side {
    /// `reference` or `candidate`.
    pub role: &'static str,
    /// The trace, for people.
    pub trace: String,
    /// Who computed it.
    pub engine: String,
    /// What its audit found.
    pub audit: Audit,
}

/// A diagnosis of one run, or of two.
pub struct Diagnosed {
    /// The runs, the reference first.
    pub sides: Vec<Side>,
    /// Their comparison, where there are two.
    pub comparison: Option<Comparison>,
}

/// Whose mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Every judged operation of every run is right.
    Nobodys,
    /// That run's, by its index.
    One(usize),
    /// Both runs hold faulty operations.
    Both,
    /// Nothing could be judged.
    Unknown,
}

impl Diagnosed {
    /// Whose mistake it is: that of the run whose operations do not follow from their own inputs.
    pub fn whose(&self) -> Whose {
        let faulty: Vec<usize> =
            (0..self.sides.len()).filter(|&i| self.conclusion(i) == Conclusion::Faulty).collect();
        let silent = (0..self.sides.len()).any(|i| self.conclusion(i) == Conclusion::NotEnough);
        match faulty[..] {
            [] if silent => Whose::Unknown,
            [] => Whose::Nobodys,
            [one] => Whose::One(one),
            _ => Whose::Both,
        }
    }

    /// The comparison's verdict.
    pub fn verdict(&self) -> Option<Arc<Verdict>> {
        self.comparison.as_ref().map(Comparison::verdict)
    }

    fn conclusion(&self, side: usize) -> Conclusion {
        self.sides[side].audit.conclusion()
    }
}
