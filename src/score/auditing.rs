//! The audit, after the same questions about tokens and instruments: every node of the candidate is
//! recomputed alone.

use super::ScoreError;
use super::judge::{Answer, Evidence, Judge, Named, before_blame, unless_noted};
use crate::audit::{Conclusion, Options, audit};
use crate::diagnose::OtherWeights;
use crate::diagnose::weights::other_weights;
use crate::garbage::recording::notes;

/// See the module.
pub struct Auditing;

impl Judge for Auditing {
    fn id(&self) -> &'static str {
        "audit"
    }

    fn title(&self) -> &'static str {
        "audit of every operation, after the checks of tokens and instruments"
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Result<Answer, ScoreError> {
        // Repeated bits may be the engine's own: an operation that reads a stale input repeats its result.
        // Whether what follows was computed from them is the audit's to say.
        let before = before_blame(&evidence.comparison.verdict());
        let repeats = matches!(&before, Some(Answer::Instrument { class }) if class == "stale");
        let mut stale = None;
        match before {
            Some(answer) if repeats => stale = Some(answer),
            Some(answer) => return Ok(answer),
            None => {}
        }
        let (gguf, candidate, options) = (evidence.gguf, evidence.candidate, Options::default());
        let mut found = audit(gguf, evidence.graph, candidate, &options, &mut |_, _| {})?;
        if found.conclusion() == Conclusion::Faulty {
            let none = |e: std::io::Error| ScoreError::Other(format!("cannot make a temporary folder: {e}"));
            let folder = tempfile::tempdir().map_err(none)?;
            let weights = other_weights(gguf, candidate, &found, &options, folder.path(), &mut |_, _| {})?;
            match weights {
                // Faults beside other weights are faults.
                Some(OtherWeights { audit: Some(audit), .. }) if audit.conclusion() == Conclusion::Faulty => {
                    found = audit;
                }
                Some(_) => return Ok(Answer::OtherWeights),
                None => {}
            }
        }
        let notes = notes(evidence.candidate, Some(evidence.graph.n_vocab));
        let noted = |answer| unless_noted(answer, &notes);
        Ok(match found.conclusion() {
            Conclusion::Clean => stale.unwrap_or_else(|| noted(Answer::Clean)),
            Conclusion::NotEnough => noted(Answer::Undecided("too little was recorded to judge".into())),
            Conclusion::Faulty => Answer::Faulty(
                found
                    .faulty
                    .iter()
                    .map(|node| Named {
                        checkpoint: node.checkpoint,
                        mistakes: node.diagnoses.iter().map(|d| d.mistake.clone()).collect(),
                        instrument: !node.diagnoses.is_empty() && node.diagnoses.iter().all(|d| d.instrument),
                    })
                    .collect(),
            ),
        })
    }
}
