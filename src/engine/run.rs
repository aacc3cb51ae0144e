//! What a command that only records needs of an engine: tokens in, records and the next token out.

use serde_json::json;

use super::statistics::Statistics;
use crate::model::Checkpoint;
use crate::trace::{Header, TraceError, TraceWriter};

/// Receives the records of a run. `values` are only valid during the call.
pub trait RecordSink: Send {
    /// One tensor at one position; `tensor` and `op` are what the engine itself calls the node, the
    /// shape is fastest axis first and without the token axis.
    fn record(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        tensor: Option<&str>,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), TraceError>;

    /// One tensor's statistics in place of its values.
    fn statistics(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        statistics: &Statistics,
    ) -> Result<(), TraceError> {
        let _ = (position, checkpoint, op, shape, statistics);
        Ok(())
    }
}

impl RecordSink for TraceWriter {
    fn record(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        tensor: Option<&str>,
        op: &str,
        shape: &[u32],
        values: &[f32],
    ) -> Result<(), TraceError> {
        self.tensor(position, checkpoint, tensor, op, shape, values)
    }

    fn statistics(
        &mut self,
        position: u32,
        checkpoint: Checkpoint,
        op: &str,
        shape: &[u32],
        statistics: &Statistics,
    ) -> Result<(), TraceError> {
        // What no finite value has is left out: JSON knows no infinity.
        let finite = |value: f32| value.is_finite().then_some(value);
        let said = json!({
            "min": finite(statistics.min),
            "max": finite(statistics.max),
            "rms": statistics.rms,
            "non_finite": statistics.non_finite,
        });
        self.reduced(position, checkpoint, op, shape, &said)
    }
}

/// An engine as [`paritty trace`](crate::cli) drives it. Which checkpoints are shown is fixed when it is made.
pub trait Run {
    /// The engine's and the model's part of a trace's header.
    fn header(&self) -> Header;

    /// Text of one token.
    fn piece(&self, token: u32) -> String;

    /// Whether a token ends the text.
    fn is_end(&self, token: u32) -> bool;

    /// Most tokens of a batch.
    fn batch_size(&self) -> usize {
        usize::MAX
    }

    /// Computes the next `tokens.len()` positions as one batch.
    fn feed(&mut self, tokens: &[u32], out: &mut dyn RecordSink) -> anyhow::Result<()>;

    /// The token that the engine chooses to follow what it was fed.
    fn next_token(&mut self) -> anyhow::Result<u32>;
}

/// Number formats of a key and value cache, by ggml's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs, reason = "ggml's own names")]
pub enum KvType {
    #[value(name = "f32")]
    F32,
    #[value(name = "f16")]
    F16,
    #[value(name = "bf16")]
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q5_1")]
    Q5_1,
    #[value(name = "q5_0")]
    Q5_0,
    #[value(name = "q4_1")]
    Q4_1,
    #[value(name = "q4_0")]
    Q4_0,
    #[value(name = "iq4_nl")]
    Iq4Nl,
}

impl KvType {
    /// ggml's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q5_1 => "q5_1",
            Self::Q5_0 => "q5_0",
            Self::Q4_1 => "q4_1",
            Self::Q4_0 => "q4_0",
            Self::Iq4Nl => "iq4_nl",
        }
    }
}
