//! Two runs compared cell by cell: what one gets without recomputing anything. It names one operation, and
//! mistakes only where the instrument is at fault.

use super::ScoreError;
use super::judge::{Answer, Evidence, Judge, Named, before_blame, unless_noted};
use crate::compare::Verdict;

/// See the module.
pub struct FreeRunning;

impl Judge for FreeRunning {
    fn id(&self) -> &'static str {
        "comparison"
    }

    fn title(&self) -> &'static str {
        "free-running comparison alone"
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Result<Answer, ScoreError> {
        let verdict = evidence.comparison.verdict();
        if let Some(answer) = before_blame(&verdict) {
            return Ok(answer);
        }
        if evidence.comparison.other_weights().is_some() {
            return Ok(Answer::OtherWeights);
        }
        let noted = |answer| unless_noted(answer, &evidence.comparison.recording()[1]);
        Ok(match &*verdict {
            Verdict::Diverged { first, .. } => Answer::Faulty(vec![Named {
                checkpoint: first.checkpoint,
                mistakes: Vec::new(),
                instrument: false,
            }]),
            Verdict::WithinNoise { .. } => noted(Answer::Clean),
            Verdict::Inconclusive { reason, .. } => noted(Answer::Undecided(reason.clone())),
            _ => Answer::Undecided("nothing was compared".into()),
        })
    }
}
