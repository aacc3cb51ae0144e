//! What a session shows, and what it can be told.

use std::sync::Arc;
use std::time::Duration;

use super::{Change, DiagnosisState, Feed, Layers, Records, Scores, Stepping, Stop, Wanted};
use crate::compare::{CellMetrics, Column, LogitMetrics, Severity, TopK, Verdict};
use crate::model::Checkpoint;
use crate::trace::{Notes, Tensor};

/// State of one side's source.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceState {
    /// Nothing there yet.
    Waiting,
    /// It grows.
    Live,
    /// It grows only when told to, and waits for that (our engines).
    Ready,
    /// It has not grown for this long.
    Stalled(Duration),
    /// It is complete.
    Ended,
    /// It broke; the sentence says how and what to do.
    Failed(String),
}

/// One side, for the title line.
#[derive(Clone, Debug, PartialEq)]
pub struct SideStatus {
    /// `llama.cpp`, `paritty` …: who computed it.
    pub team: String,
    /// `CPU`, `oracle`, `CUDA` …
    pub backend: String,
    /// What else to know: `replay of a recorded trace`, `fault: rope-pairing` …
    pub remark: Option<String>,
    /// State of the source.
    pub state: SourceState,
    /// Complete positions.
    pub positions: u32,
    /// Positions that it will have, if known.
    pub expected: Option<u32>,
    /// Oddities of the trace.
    pub notes: Notes,
}

/// One token of the strip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenView {
    /// Position.
    pub position: u32,
    /// Id.
    pub id: Option<u32>,
    /// Text, safe to show: control characters replaced, never an escape sequence.
    pub text: String,
    /// Whether it belongs to the prompt.
    pub from_prompt: bool,
    /// Id and text of the candidate's token, where it is another than the reference's.
    pub candidate: Option<(u32, String)>,
}

/// Whether candidate engines step by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// One step per command.
    Paused,
    /// As fast as the reference allows.
    Running,
    /// There is nothing left to step: everything asked for was computed.
    Finished,
    /// No engine is driven (two traces).
    Static,
}

/// Values of the cell under the cursor, read for the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// Position.
    pub position: u32,
    /// Checkpoint.
    pub checkpoint: Checkpoint,
    /// The reference's values.
    pub reference: Option<Tensor>,
    /// The candidate's values.
    pub candidate: Option<Tensor>,
    /// What was asked for; may ask for more than is there.
    pub wanted: Wanted,
    /// The cursor's site in every layer, if that was asked for.
    pub layers: Option<Arc<Layers>>,
    /// The attention scores of the cursor's layer, if they were asked for.
    pub scores: Option<Arc<Scores>>,
    /// Figures of the cell.
    pub metrics: Option<CellMetrics>,
    /// Severity of the cell.
    pub severity: Option<Severity>,
    /// The most likely tokens at this position.
    pub top: TopK,
    /// Lines of the logits' records that `top` was made from.
    pub top_from: [Option<u64>; 2],
    /// Text for each token id in `top`, safe to show.
    pub pieces: Vec<(u32, String)>,
    /// Metrics of the logits at this position.
    pub logits: Option<LogitMetrics>,
}

impl Focus {
    /// The answer before anything was read.
    pub fn new(wanted: Wanted) -> Self {
        Self {
            position: wanted.position,
            checkpoint: wanted.checkpoint,
            reference: None,
            candidate: None,
            wanted,
            layers: None,
            scores: None,
            metrics: None,
            severity: None,
            top: TopK::default(),
            top_from: [None; 2],
            pieces: Vec::new(),
            logits: None,
        }
    }
}

/// Everything a screen shows; cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Grows with every change.
    pub revision: u64,
    /// Grows with whatever is read, compared or judged: while it does, something happens.
    pub work: u64,
    /// Whether everything that was read is compared and judged together.
    pub settled: bool,
    /// Model name, safe to show.
    pub model: String,
    /// The trusted side.
    pub reference: SideStatus,
    /// The side under test.
    pub candidate: SideStatus,
    /// Tokens by position (the reference's; the candidate's where the reference has none).
    pub tokens: Arc<Vec<TokenView>>,
    /// Checkpoints that any column has, in order of execution.
    pub rows: Arc<[Checkpoint]>,
    /// Columns by position.
    pub columns: Vec<Arc<Column>>,
    /// The verdict so far.
    pub verdict: Arc<Verdict>,
    /// Stepping.
    pub run: RunState,
    /// Positions that the candidate has computed.
    pub step: u32,
    /// How it steps.
    pub stepping: Arc<Stepping>,
    /// Answer to the last [`Command::Focus`].
    pub focus: Option<Arc<Focus>>,
    /// The newest records of both runs.
    pub records: Arc<Records>,
    /// The diagnosis that was asked for.
    pub diagnosis: DiagnosisState,
    /// The newest message for the user, safe to show.
    pub message: Option<String>,
}

/// What a session can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Compute one more position.
    Step,
    /// Compute until told otherwise.
    Run,
    /// Stop computing.
    Pause,
    /// Forget the newest position of every driven engine.
    Back,
    /// Start engines that failed anew.
    Restart,
    /// Show the values of this cell, and what else the open views need of its place.
    Focus(Wanted),
    /// Diagnose what both traces hold now: which operation is faulty, what kind of mistake, whose.
    Diagnose,
    /// Call the diagnosis off.
    CancelDiagnosis,
    /// Compute until this is met (or everything is computed); then pause. A position that is
    /// computed already is gone back to.
    RunUntil(Stop),
    /// The conditions at which any run pauses from now on; replaces the ones before.
    Breakpoints(Vec<Stop>),
    /// Positions a second at most; `None`: as fast as it goes.
    Speed(Option<f32>),
    /// Who chooses the tokens.
    Feed(Feed),
    /// Go back and compute the candidate anew with something changed.
    Rerun(Change),
    /// End the session.
    Quit,
}
