//! What comes of it: the kinds of mistakes, and the findings.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::AuditError;
use crate::audit::auditor::{Auditor, Finding};
use crate::audit::choice::{Choice, House};
use crate::audit::findings::{Audit, Conclusion, Diagnosis, KindFindings};
use crate::audit::floor::TOO_WIDE;
use crate::audit::hypotheses;
use crate::audit::judge::Deviation;
use crate::audit::stretch::{Reach, Stretch};
use crate::audit::witness::Witness;
use crate::model::NodeId;

/// Faulty positions at which those that read a node are asked.
const WITNESSES: usize = 4;

/// A node whose input was recorded wrongly.
enum Misled {
    /// That is all that is wrong.
    KnockOn(Diagnosis),
    /// Recomputed around that input it is wrong all the same.
    Besides(Finding),
}

impl Auditor<'_> {
    /// A node that was bridged over one that is faulty itself, because that was recorded only in part, shows
    /// the same mistake once more: nothing is known of its own.
    pub(super) fn drop_knock_on(&mut self) {
        let faulty: BTreeSet<NodeId> = self.findings.iter().map(|f| f.stretch.output()).collect();
        let mut kept = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            // Of a row of which a part was recorded, the rest may be wrong where that part is not.
            let stretch = &finding.stretch;
            let cause = stretch.nodes.iter().find(|id| **id != stretch.output() && faulty.contains(id));
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
    pub(super) fn explain(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<(), AuditError> {
        let findings = std::mem::take(&mut self.findings);
        let steps = hypotheses::steps(&findings);
        let mut done = 0;
        for (i, finding) in findings.iter().enumerate() {
            self.go_on()?;
            let mut step = || {
                done += 1;
                progress(done, steps);
            };
            let (diagnoses, pattern) = match self.misrecorded_input(finding)? {
                Some(Misled::KnockOn(knock_on)) => (vec![knock_on], String::new()),
                Some(Misled::Besides(finding)) => self.diagnose(&finding, &mut step)?,
                None => self.diagnose(finding, &mut step)?,
            };
            (self.faulty[i].diagnoses, self.faulty[i].pattern) = (diagnoses, pattern);
        }
        Ok(())
    }

    /// What explains a finding, else how it looks.
    fn diagnose(
        &self,
        finding: &Finding,
        step: &mut dyn FnMut(),
    ) -> Result<(Vec<Diagnosis>, String), AuditError> {
        let mut diagnoses = hypotheses::explain(self, finding, step)?;
        let instrument = diagnoses.iter().any(|d| d.instrument);
        let looked_at: Vec<u32> = finding.faulty.iter().copied().take(WITNESSES).collect();
        if !instrument && self.witness(finding.stretch.output(), &looked_at)? == Witness::Right {
            if diagnoses.is_empty() {
                diagnoses.push(Diagnosis {
                    mistake: "recorded-otherwise".to_owned(),
                    says: "what reads it was computed from the right values, not from these".to_owned(),
                    instrument: true,
                    before: finding.worst.0,
                    after: f64::NAN,
                    explained: finding.faulty.len(),
                    tried: finding.faulty.len(),
                });
            }
            for diagnosis in &mut diagnoses {
                diagnosis.instrument = true;
            }
        }
        let pattern = if diagnoses.is_empty() { hypotheses::describe(self, finding)? } else { String::new() };
        Ok((diagnoses, pattern))
    }

    /// Where an input of the node was recorded wrongly, the node cannot be held to it, but to what is
    /// recomputed around that input.
    fn misrecorded_input(&self, finding: &Finding) -> Result<Option<Misled>, AuditError> {
        let graph = self.graph();
        let wrong = finding.stretch.sources.iter().find_map(|&id| {
            let checkpoint = graph.node(id).checkpoint?;
            let recorded = self.faulty.iter().find(|f| f.checkpoint == checkpoint)?;
            recorded.diagnoses.first().filter(|d| d.instrument).map(|_| (id, checkpoint))
        });
        let Some((id, wrong)) = wrong else { return Ok(None) };
        let reader = finding.stretch.output();
        let looked_at: Vec<u32> = finding.faulty.iter().copied().take(WITNESSES).collect();
        let around = self.around(reader, id, &looked_at)?;
        let unexplained: BTreeMap<u32, Deviation> =
            around.into_iter().filter(|(_, d)| !d.is_explained() && d.floor <= TOO_WIDE).collect();
        if let Some(worst) = unexplained.values().max_by(|a, b| a.severity.total_cmp(&b.severity)) {
            let stretch = Stretch::around(graph, self.traced(), reader, Some(id));
            return Ok(Some(Misled::Besides(Finding {
                stretch,
                choice: Choice::House(House::AsRecorded),
                faulty: unexplained.keys().copied().collect(),
                clean: Vec::new(),
                worst: (worst.relative, worst.severity),
                before: unexplained,
            })));
        }
        Ok(Some(Misled::KnockOn(Diagnosis {
            mistake: "recorded-input".to_owned(),
            says: format!("its input {wrong} was recorded wrongly, so that it cannot be judged by it"),
            instrument: true,
            before: finding.worst.0,
            after: finding.worst.0,
            explained: finding.faulty.len(),
            tried: finding.faulty.len(),
        })))
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
