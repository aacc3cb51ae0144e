//! Whoever says what is wrong with a run.

use std::sync::Arc;

use super::ScoreError;
use crate::compare::{Comparison, Verdict};
use crate::garbage::recording::Note;
use crate::gguf::Gguf;
use crate::model::{Checkpoint, Graph};
use crate::trace::Store;

/// What a judge is given: two runs and the model, and not a word of what was done.
pub struct Evidence<'a> {
    /// The model file that both runs claim to be of.
    pub gguf: &'a Arc<Gguf>,
    /// Its right graph.
    pub graph: &'a Graph,
    /// A run that is trusted.
    pub reference: &'a Store,
    /// The run under test.
    pub candidate: &'a Store,
    /// The two compared.
    pub comparison: &'a Comparison,
}

/// What a judge says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Nothing is wrong.
    Clean,
    /// The runs are not of the same tokens.
    OtherTokens,
    /// The recorder is at fault.
    Instrument {
        /// Class of garbage.
        class: String,
    },
    /// Nothing is wrong among the values that were recorded, but something is to be known of the recorder.
    Noted {
        /// Classes of garbage that the notes are akin to.
        classes: Vec<String>,
    },
    /// The weights that were used are others: a true difference.
    OtherWeights,
    /// Operations are wrong.
    Faulty(Vec<Named>),
    /// There is not enough to say.
    Undecided(String),
}

/// An operation that is named as wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// It.
    pub checkpoint: Checkpoint,
    /// Ids of mistakes that explain it; several explain it equally well.
    pub mistakes: Vec<String>,
    /// Whether the recorder is said to be at fault.
    pub instrument: bool,
}

/// A judge.
pub trait Judge: Sync {
    /// Stable id.
    fn id(&self) -> &'static str;
    /// A few words.
    fn title(&self) -> &'static str;
    /// Says what is wrong.
    fn judge(&self, evidence: &Evidence<'_>) -> Result<Answer, ScoreError>;
}

/// What comes before any operation is blamed: other tokens, mistaken instruments. `None`: neither.
pub fn before_blame(verdict: &Verdict) -> Option<Answer> {
    match verdict {
        Verdict::DifferentComputation { .. } => Some(Answer::OtherTokens),
        Verdict::Instrument { finding, .. } => Some(Answer::Instrument { class: finding.class.to_owned() }),
        _ => None,
    }
}

/// What is said where no operation is blamed: what is to be known of the candidate's recorder, if anything.
pub fn unless_noted(answer: Answer, notes: &[Note]) -> Answer {
    let mut classes: Vec<String> = notes.iter().map(|note| note.class.to_owned()).collect();
    classes.dedup();
    if classes.is_empty() { answer } else { Answer::Noted { classes } }
}
