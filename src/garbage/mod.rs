//! Garbage: values that no correct forward pass produces, each with its class and its evidence.
//! One class a file; adding one means a file and a line in [`CLASSES`].

use crate::model::Checkpoint;
use crate::trace::Tensor;

/// Who is at fault when a class is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The values were computed like this.
    Engine,
    /// The logger recorded something else than what was computed.
    Instrument,
    /// Nobody: legitimate, worth knowing (a padded vocabulary).
    Nobody,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The class's id: `nan`, `inf`, `heap-pointer` …
    pub class: &'static str,
    /// A single letter or sign for flags.
    pub glyph: char,
    /// Who is at fault.
    pub blame: Blame,
    /// Where.
    pub checkpoint: Checkpoint,
    /// Channels concerned: first and how many.
    pub first_channel: u32,
    /// How many channels.
    pub count: u32,
    /// 0 to 1.
    pub confidence: f32,
    /// A sentence with the figures.
    pub evidence: String,
}

/// What a class sees: one tensor and, if there is one, the same checkpoint one position earlier.
pub struct Sample<'a> {
    /// Where the values come from.
    pub checkpoint: Checkpoint,
    /// The values.
    pub tensor: &'a Tensor,
    /// The same checkpoint at the position before.
    pub earlier: Option<&'a Tensor>,
}

/// One class of garbage.
pub trait Class: Sync {
    /// Stable id.
    fn id(&self) -> &'static str;
    /// What it is, how it comes about and what to do: a paragraph.
    fn explain(&self) -> &'static str;
    /// The finding, if the sample shows it.
    fn check(&self, sample: &Sample<'_>) -> Option<Finding>;
}

/// Every class, in the order in which they are tried.
pub static CLASSES: &[&dyn Class] = &[];

/// All findings for one sample.
pub fn inspect(sample: &Sample<'_>) -> Vec<Finding> {
    CLASSES.iter().filter_map(|class| class.check(sample)).collect()
}
