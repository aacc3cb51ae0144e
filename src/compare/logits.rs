//! Logits: distributions, ranks, margins.

/// One line of a top-k table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopEntry {
    /// Token id.
    pub token: u32,
    /// Its logit.
    pub logit: f32,
    /// Its probability (softmax at temperature 1).
    pub probability: f32,
    /// Its rank on the other side, from 0.
    pub other_rank: Option<u32>,
}

/// The k most likely tokens of both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopK {
    /// By the reference, most likely first. Empty if it has no logits here.
    pub reference: Vec<TopEntry>,
    /// By the candidate.
    pub candidate: Vec<TopEntry>,
}

/// Metrics of a pair of logit rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitMetrics {
    /// KL(reference‖candidate) in nats.
    pub kl: f64,
    /// Whether both have the same most likely token.
    pub top1_agrees: bool,
    /// How many of the reference's first k are among the candidate's first k.
    pub overlap: u32,
    /// k.
    pub k: u32,
    /// Reference's first logit minus its second.
    pub margin: f32,
}
