//! What an audit found.

use std::collections::BTreeMap;

use super::judge::Deviation;
use super::kind::Kind;
use super::stretch::Reach;
use crate::model::Checkpoint;

/// What was found of all nodes of one kind.
#[derive(Clone, Debug)]
pub struct KindFindings {
    /// Which kind.
    pub kind: Kind,
    /// The arithmetic that explains it best.
    pub arithmetic: &'static str,
    /// Whether it does.
    pub explained: bool,
    /// Nodes.
    pub nodes: usize,
    /// Cells, that is nodes times positions.
    pub cells: usize,
    /// Cells that only another arithmetic explains, by its title.
    pub otherwise: BTreeMap<&'static str, usize>,
    /// Cells in which rounding ties had to fall the other way.
    pub ties: usize,
    /// Median and worst relative deviation of the explained cells.
    pub median: f64,
    /// See `median`.
    pub worst: f64,
    /// The widest floor that a cell was held to.
    pub floor: f64,
    /// Largest share of its bound that a single value of an explained cell takes.
    pub worst_value: f64,
    /// Cells that nothing explains.
    pub faulty: usize,
}

/// A node that no legitimate arithmetic explains.
#[derive(Clone, Debug)]
pub struct FaultyNode {
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// What it does.
    pub operation: &'static str,
    /// Its weight tensor.
    pub weight: Option<String>,
    /// How it could be judged.
    pub reach: Reach,
    /// Arithmetic that it was held to.
    pub arithmetic: &'static str,
    /// Positions at which it is faulty.
    pub positions: Vec<u32>,
    /// Positions at which it was judged.
    pub judged: usize,
    /// The worst of them.
    pub worst_at: u32,
    /// How far off it is there.
    pub worst: Deviation,
    /// What explains it; several that explain it equally well are all named, none if no mistake that is
    /// known does.
    pub diagnoses: Vec<Diagnosis>,
    /// Where nothing explains it: how it is off, in words.
    pub pattern: String,
}

/// A mistake that explains a faulty node.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Id of the hypothesis, or of the fault that makes the same mistake.
    pub mistake: String,
    /// What was done, as a clause.
    pub says: String,
    /// Whether the recorder is at fault.
    pub instrument: bool,
    /// Worst deviation of the faulty cells without the change, as a share of the norm.
    pub before: f64,
    /// And with it; NaN where nothing right can be held against it.
    pub after: f64,
    /// Faulty cells that it explains.
    pub explained: usize,
    /// Faulty cells tried.
    pub tried: usize,
}

/// What could be judged and what not.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Positions in the trace.
    pub positions: usize,
    /// Nodes of the model that have a name.
    pub nodes: usize,
    /// Of those, recorded at one position at least.
    pub recorded: usize,
    /// Cells judged from their own inputs.
    pub direct: usize,
    /// Cells of attention judged from query, keys and values.
    pub whole: usize,
    /// Cells judged from further back.
    pub bridged: usize,
    /// Cells of which only a part was recorded; they are among the above, judged over that part.
    pub partial: usize,
    /// Cells that could not be judged, by reason.
    pub unjudged: BTreeMap<String, usize>,
    /// What had to be assumed of the run, because the trace does not say.
    pub assumed: Option<String>,
    /// Records of checkpoints that this model has not.
    pub foreign: BTreeMap<Checkpoint, usize>,
    /// Positions whose token the trace does not name; it was inferred from the embedding.
    pub inferred: usize,
    /// Logits recorded a position and tokens of the model, where those are more than these: the rest is not judged.
    pub padded: Option<(usize, usize)>,
}

impl Coverage {
    /// Cells judged.
    pub fn judged(&self) -> usize {
        self.direct + self.whole + self.bridged
    }

    /// Cells not judged.
    pub fn not_judged(&self) -> usize {
        self.unjudged.values().sum()
    }
}

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Every judged cell is explained.
    Clean,
    /// Some are not.
    Faulty,
    /// Nothing could be judged.
    NotEnough,
}

/// An audited run.
#[derive(Clone, Debug)]
pub struct Audit {
    /// By kind of node.
    pub kinds: Vec<KindFindings>,
    /// Faulty nodes in order of execution.
    pub faulty: Vec<FaultyNode>,
    /// What could be judged.
    pub coverage: Coverage,
}

impl Audit {
    /// In one word.
    pub fn conclusion(&self) -> Conclusion {
        if !self.faulty.is_empty() {
            Conclusion::Faulty
        } else if self.coverage.judged() == 0 {
            Conclusion::NotEnough
        } else {
            Conclusion::Clean
        }
    }
}
