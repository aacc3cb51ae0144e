//! The audit, after the same questions about tokens and instruments: every node of the candidate is
//! recomputed alone.

use super::ScoreError;
use super::judge::{Answer, Evidence, Judge, Named, before_blame};
use crate::audit::{Conclusion, Options, audit};

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
        if let Some(answer) = before_blame(&evidence.comparison.verdict()) {
            return Ok(answer);
        }
        let found =
            audit(evidence.gguf, evidence.graph, evidence.candidate, &Options::default(), &mut |_, _| {})?;
        Ok(match found.conclusion() {
            Conclusion::Clean => Answer::Clean,
            Conclusion::NotEnough => Answer::Undecided("too little was recorded to judge".into()),
            Conclusion::Faulty => Answer::Faulty(
                found
                    .faulty
                    .iter()
                    .map(|node| Named {
                        checkpoint: node.checkpoint,
                        mistakes: Vec::new(),
                        instrument: false,
                    })
                    .collect(),
            ),
        })
    }
}
