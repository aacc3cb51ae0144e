//! What comes of it: the kinds of mistakes, and the findings.

use std::collections::BTreeMap;

use crate::audit::AuditError;
use crate::audit::auditor::{Auditor, Finding};
use crate::audit::findings::{Audit, Conclusion, Diagnosis, KindFindings};
use crate::audit::hypotheses;
use crate::audit::stretch::Reach;
use crate::model::NodeId;

impl Auditor<'_> {
    /// A node that was bridged over one that is faulty itself, because that was recorded only in part, shows
    /// the same mistake once more: nothing is known of its own.
    pub(super) fn drop_knock_on(&mut self) {
        let first: BTreeMap<NodeId, u32> = self
            .findings
            .iter()
            .filter_map(|f| Some((f.stretch.output(), f.faulty.iter().copied().min()?)))
            .collect();
        let mut kept = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            let (stretch, earliest) = (&finding.stretch, finding.faulty.iter().min());
            let cause = stretch.nodes.iter().find(|id| {
                **id != stretch.output() && first.get(id).is_some_and(|first| Some(first) <= earliest)
            });
            let Some(&cause) = cause.filter(|_| matches!(stretch.reach, Reach::Bridged(_))) else {
                kept.push(finding);
                continue;
            };
            let own = self.graph().node(stretch.output()).checkpoint;
            self.faulty.retain(|f| Some(f.checkpoint) != own);
            for &position in &finding.faulty {
                let kind = self.kind(stretch, position);
                if let Some(tally) = self.kinds.get_mut(&kind) {
                    tally.faulty = tally.faulty.saturating_sub(1);
                    tally.cells = tally.cells.saturating_sub(1);
                }
            }
            let name = self.graph().node(cause).checkpoint.map(|c| c.to_string()).unwrap_or_default();
            let reason = format!("they rest on {name}, which is faulty and was not recorded in full");
            *self.coverage.unjudged.entry(reason).or_default() += finding.faulty.len();
            self.coverage.bridged = self.coverage.bridged.saturating_sub(finding.faulty.len());
        }
        self.findings = kept;
    }

    /// Says what kind of mistake each faulty node holds, once it is known which are faulty.
    pub(super) fn explain(&mut self, progress: &mut dyn FnMut(usize)) -> Result<(), AuditError> {
        for (i, finding) in std::mem::take(&mut self.findings).into_iter().enumerate() {
            self.go_on()?;
            let diagnoses = match self.misrecorded_input(&finding) {
                Some(knock_on) => vec![knock_on],
                None => hypotheses::explain(self, &finding)?,
            };
            let pattern =
                if diagnoses.is_empty() { hypotheses::describe(self, &finding)? } else { String::new() };
            (self.faulty[i].diagnoses, self.faulty[i].pattern) = (diagnoses, pattern);
            progress(i + 1);
        }
        Ok(())
    }

    /// Where an input of the node was recorded wrongly, the node cannot be held to it.
    pub(super) fn misrecorded_input(&self, finding: &Finding) -> Option<Diagnosis> {
        let graph = self.graph();
        let wrong =
            finding.stretch.sources.iter().filter_map(|&id| graph.node(id).checkpoint).find(|source| {
                let recorded = self.faulty.iter().find(|f| f.checkpoint == *source);
                recorded.and_then(|f| f.diagnoses.first()).is_some_and(|d| d.instrument)
            })?;
        Some(Diagnosis {
            mistake: "recorded-input".to_owned(),
            says: format!("its input {wrong} was recorded wrongly, so that it cannot be judged by it"),
            instrument: true,
            before: finding.worst.0,
            after: finding.worst.0,
            explained: finding.faulty.len(),
            tried: finding.faulty.len(),
        })
    }

    pub(super) fn finish(self) -> Audit {
        let choices = self.choices;
        let kinds = self
            .kinds
            .into_iter()
            .filter(|(_, tally)| tally.cells > 0)
            .map(|(kind, mut tally)| {
                tally.deviations.sort_by(f64::total_cmp);
                let at = |q: f64| {
                    let last = tally.deviations.len().saturating_sub(1) as f64;
                    tally.deviations.get((last * q).round() as usize).copied().unwrap_or(f64::NAN)
                };
                KindFindings {
                    kind,
                    arithmetic: choices.get(&kind).map_or("", |c| c.title()),
                    explained: tally.faulty < tally.cells,
                    nodes: tally.nodes,
                    cells: tally.cells,
                    median: at(0.5),
                    worst: at(1.0),
                    otherwise: tally.otherwise,
                    ties: tally.ties,
                    floor: tally.floor,
                    worst_value: tally.worst_value,
                    faulty: tally.faulty,
                }
            })
            .collect();
        let audit = Audit { kinds, faulty: self.faulty, coverage: self.coverage };
        debug_assert!(audit.conclusion() != Conclusion::Clean || audit.coverage.judged() > 0);
        audit
    }
}
