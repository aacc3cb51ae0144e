//! A step that is captured once and replayed.

use std::sync::Arc;

use cudarc::driver::sys::{CUgraphInstantiate_flags as Flags, CUstreamCaptureMode as Mode};
use cudarc::driver::{CudaGraph, CudaStream};

use super::error::CudaError;

/// A captured step.
pub struct Captured(CudaGraph);

// SAFETY: a graph may be used by one thread at a time; it is reached through its engine alone, which
// gives it out to nobody.
#[allow(unsafe_code)]
unsafe impl Send for Captured {}

impl Captured {
    /// Captures what `work` puts on the stream.
    pub fn of(
        stream: &Arc<CudaStream>,
        work: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<Self, CudaError> {
        let failed = || CudaError::driver("cannot capture a step");
        stream.begin_capture(Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(failed())?;
        let done = work();
        // Ended in any case: the stream would stay unusable.
        let graph = stream.end_capture(Flags(0));
        done?;
        let graph = graph.map_err(failed())?;
        let graph = graph.ok_or_else(|| CudaError::Unsupported("an empty step cannot be captured".into()))?;
        graph.upload().map_err(failed())?;
        Ok(Self(graph))
    }

    /// Replays it.
    pub fn launch(&self) -> Result<(), CudaError> {
        self.0.launch().map_err(CudaError::driver("cannot launch a step"))
    }
}
