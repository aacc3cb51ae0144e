//! A run of an engine of ours, written down.

use std::path::Path;
use std::sync::Arc;

use super::ScoreError;
use crate::engine::cpu::CpuOptions;
use crate::engine::open::{self, Kind};
use crate::engine::record::Recorded;
use crate::engine::worker::Worker as _;
use crate::fault::{Injections, recorder};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Graph};
use crate::trace::{Token, TraceWriter};

/// A run that is written to `path`.
pub fn record(
    gguf: &Arc<Gguf>,
    graph: Graph,
    faults: &Injections,
    kind: Kind,
    kv_f16: bool,
    tokens: &[Token],
    path: &Path,
) -> Result<(), ScoreError> {
    // Trials run beside each other; one thread each is fastest.
    let options = CpuOptions { threads: 1, kv_f16 };
    let mut engine = recorder::dress(open::open(kind, gguf, graph, options)?, faults);
    engine.set_fault(None);
    engine.set_capture(CaptureSet::All);
    let mut header = engine.header();
    header.settings.n_ctx = Some(tokens.len() as u32);
    let mut recorded = Box::new(Recorded::with_writer(engine, TraceWriter::create(path, &header)?));
    for token in tokens {
        recorded.step(token).map_err(ScoreError::Other)?;
    }
    recorded.end().map_err(ScoreError::Other)
}
