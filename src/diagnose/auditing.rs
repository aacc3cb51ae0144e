//! One run audited as a diagnosis needs it: by the graph that it was opened with, and again against weights that
//! were rounded, where it was made with those.

use std::path::Path;
use std::sync::Arc;

use super::weights::other_weights;
use super::{DiagnoseError, Side};
use crate::audit::{Audit, Conclusion, Options, audit};
use crate::gguf::Gguf;
use crate::model::arch;
use crate::text::safe;
use crate::trace::Store;

/// Told what is done, how much of it, and of how much (0: not known yet).
pub type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

/// The two sets of RoPE factors that a model may have.
const LONG: &str = "rope_factors_long.weight";
/// See [`LONG`].
const SHORT: &str = "rope_factors_short.weight";

/// An audit with the number of tokens of the model. `context`: positions that the run was opened for, where the
/// trace does not say.
pub fn audited(
    gguf: &Arc<Gguf>,
    store: &Store,
    context: Option<usize>,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Audit, usize), DiagnoseError> {
    let header = store.header().cloned().unwrap_or_default();
    let told = header.settings.n_ctx.map(|n| n as usize).or(context);
    let graph = arch::graph_for(gguf, arch::Context(told))?;
    if !header.model.arch.is_empty() && gguf.get_str("general.architecture")? != header.model.arch {
        return Err(DiagnoseError::OtherModel {
            trace: safe(&store.path().display().to_string()).into_owned(),
            theirs: safe(&header.model.arch).into_owned(),
            model: safe(&gguf.path().display().to_string()).into_owned(),
        });
    }
    let mut found = audit(gguf, &graph, store, options, progress)?;
    // Of two sets of RoPE factors an engine takes one by the length that it was opened for: where nobody
    // says, it may be either.
    let either = gguf.tensor(LONG).is_some() && gguf.tensor(SHORT).is_some();
    if told.is_none() && either && found.conclusion() == Conclusion::Faulty {
        let long = arch::graph_for(gguf, arch::Context(Some(usize::MAX)))?;
        let other = audit(gguf, &long, store, options, progress)?;
        if other.faulty.len() < found.faulty.len() {
            found = other;
            found.coverage.assumed = Some(
                "it was opened for a long context and takes the RoPE factors for those; the trace does not say \
                 (`n_ctx` in its settings)"
                    .to_owned(),
            );
        }
    }
    Ok((found, graph.n_vocab))
}

impl Side {
    /// Audits a run, and looks whether it was made with other weights. `folder` takes files that prove it.
    pub fn audit(
        role: &'static str,
        gguf: &Arc<Gguf>,
        store: &Store,
        context: Option<usize>,
        options: &Options,
        folder: &Path,
        progress: Progress<'_>,
    ) -> Result<Self, DiagnoseError> {
        let what = format!("auditing the {role}");
        let (found, n_vocab) =
            audited(gguf, store, context, options, &mut |done, of| progress(&what, done, of))?;
        let mut side = Self::new(role, store, Some(n_vocab), found);
        let what = format!("auditing the {role} against rounded weights");
        let tell = &mut |done: usize, of: usize| progress(&what, done, of);
        side.weights = other_weights(gguf, store, &side.audit, options, folder, tell)?;
        Ok(side)
    }
}
