//! Every cell of a stretch, held to its kind's arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use super::Task;
use crate::audit::AuditError;
use crate::audit::arithmetic::EXACT;
use crate::audit::auditor::{Auditor, Finding, Judged, WIDE};
use crate::audit::choice::Choice;
use crate::audit::findings::FaultyNode;
use crate::audit::floor::TOO_WIDE;
use crate::audit::judge::Deviation;
use crate::audit::kind::Kind;
use crate::audit::machine::Evaluation;
use crate::audit::stretch::{Reach, Stretch};
use crate::model::{NodeId, Op};
/// Positions evaluated together: a weight is widened once for all of them.
const CHUNK: usize = 64;

impl Auditor<'_> {
    pub(super) fn verify(&mut self, task: &Task) -> Result<(), AuditError> {
        let stretch = &task.stretch;
        let mut faulty: Vec<Judged> = Vec::new();
        let mut judged_cells = 0;
        let mut clean: BTreeSet<u32> = BTreeSet::new();
        let mut seen: BTreeSet<Kind> = BTreeSet::new();
        for positions in task.positions.chunks(CHUNK) {
            self.go_on()?;
            let mut of_kind: BTreeMap<Kind, Vec<u32>> = BTreeMap::new();
            for &position in positions {
                of_kind.entry(self.kind(stretch, position)).or_default().push(position);
            }
            for (kind, positions) in of_kind {
                let choice = self.choices.get(&kind).copied().unwrap_or(Choice::Rule(&EXACT));
                let bridges = self.bridges(stretch, choice, &positions, None)?;
                let judged =
                    self.judge(stretch, choice, &positions, Evaluation::default(), bridges.as_ref())?;
                self.count_unjudged(stretch, &positions, &judged);
                let (judged, wide): (Vec<Judged>, Vec<Judged>) = judged.into_iter().partition(|j| {
                    !matches!(stretch.reach, Reach::Bridged(_)) || j.deviation.floor <= TOO_WIDE
                });
                if !wide.is_empty() {
                    let reason =
                        "too little was recorded before it: correct engines may differ by as much".to_owned();
                    *self.coverage.unjudged.entry(reason).or_default() += wide.len();
                }
                judged_cells += judged.len();
                let unexplained: Vec<u32> =
                    judged.iter().filter(|j| !j.deviation.is_explained()).map(|j| j.position).collect();
                let rescued = self.rescue(stretch, choice, &unexplained)?;
                let tally = self.kinds.entry(kind).or_default();
                tally.nodes += usize::from(seen.insert(kind));
                tally.cells += judged.len();
                for judged in judged {
                    let position = judged.position;
                    let other = rescued.get(&position);
                    let deviation = other.map_or(judged.deviation, |(_, d)| *d);
                    if let Some((title, _)) = other {
                        *tally.otherwise.entry(title).or_default() += 1;
                    }
                    if deviation.is_explained() {
                        clean.insert(position);
                        tally.ties += usize::from(judged.ties > 0);
                        tally.deviations.push(deviation.relative);
                        tally.floor = tally.floor.max(deviation.floor);
                        tally.worst_value = tally.worst_value.max(deviation.worst.map_or(0.0, |w| w.1));
                    } else {
                        tally.faulty += 1;
                        faulty.push(judged);
                    }
                }
            }
        }
        match stretch.reach {
            Reach::Direct => self.coverage.direct += judged_cells,
            Reach::Whole => self.coverage.whole += judged_cells,
            Reach::Bridged(_) => self.coverage.bridged += judged_cells,
        }
        let full = self.traced().full(stretch.output());
        self.coverage.partial += task.positions.iter().filter(|p| !full.contains(p)).count();
        self.note_faulty(stretch, &faulty, &clean, judged_cells);
        if !matches!(stretch.reach, Reach::Bridged(_)) {
            self.clean.insert(stretch.output(), clean);
        }
        // Inputs of later layers are read again when they are needed.
        let horizon = stretch.output().0.saturating_sub(64);
        self.traced().forget(|id| id.0 >= horizon);
        Ok(())
    }

    /// Cells that the kind's arithmetic does not explain, but another does.
    pub(super) fn rescue(
        &self,
        stretch: &Stretch,
        usual: Choice,
        positions: &[u32],
    ) -> Result<BTreeMap<u32, (&'static str, Deviation)>, AuditError> {
        let mut rescued = BTreeMap::new();
        let mut left = positions.to_vec();
        let Some(&first) = left.first() else { return Ok(rescued) };
        let node = self.graph().node(stretch.output());
        for choice in self.options(stretch, self.traced().columns(first)) {
            // A wide floor explains too much to be tried on single cells, unless it is the engine's own.
            let wide = self.own_floor(stretch, choice).is_some_and(|f| f > WIDE);
            let at = self.circumstance(stretch, self.traced().columns(first));
            let expected = choice.rule().is_some_and(|r| r.is_expected(node, &at));
            if choice.is(usual) || (wide && !expected) {
                continue;
            }
            let bridges = self.bridges(stretch, choice, &left, None)?;
            for judged in self.judge(stretch, choice, &left, Evaluation::default(), bridges.as_ref())? {
                if judged.deviation.is_explained() {
                    rescued.insert(judged.position, (choice.title(), judged.deviation));
                }
            }
            left.retain(|p| !rescued.contains_key(p));
            if left.is_empty() {
                break;
            }
        }
        Ok(rescued)
    }

    pub(super) fn count_unjudged(&mut self, stretch: &Stretch, positions: &[u32], judged: &[Judged]) {
        let done: BTreeSet<u32> = judged.iter().map(|j| j.position).collect();
        for &position in positions.iter().filter(|p| !done.contains(p)) {
            let reason = self.missing(stretch, position);
            *self.coverage.unjudged.entry(reason).or_default() += 1;
        }
    }

    /// Why a cell cannot be judged.
    pub(super) fn missing(&self, stretch: &Stretch, position: u32) -> String {
        let (graph, traced) = (self.graph(), self.traced());
        let name = |id: NodeId| graph.node(id).checkpoint.map(|c| c.to_string()).unwrap_or_default();
        if traced.read(stretch.output(), position).is_err() {
            return "their values are not in the sidecar".to_owned();
        }
        for &id in &stretch.nodes {
            let node = graph.node(id);
            if matches!(node.op, Op::Embed)
                && traced.token(position).is_none_or(|t| t as usize >= graph.n_vocab)
            {
                return "the trace does not say which token was computed".to_owned();
            }
            for (i, &input) in node.inputs.iter().enumerate() {
                if !stretch.sources.contains(&input) {
                    continue;
                }
                let full = traced.full(input);
                if node.op.history_input() == Some(i) {
                    if (0..=position).any(|p| !full.contains(&p)) {
                        let site = graph.node(input).checkpoint.map_or("", |c| c.site().name());
                        return format!("{site} is not recorded at every earlier position");
                    }
                } else if !full.contains(&position) {
                    return format!("{} is not recorded in full at the same position", name(input));
                }
            }
        }
        "what it is computed from cannot be had at every earlier position".to_owned()
    }

    pub(super) fn note_faulty(
        &mut self,
        stretch: &Stretch,
        faulty: &[Judged],
        clean: &BTreeSet<u32>,
        judged: usize,
    ) {
        let mut order: Vec<&Judged> = faulty.iter().collect();
        order.sort_by(|a, b| b.deviation.severity.total_cmp(&a.deviation.severity));
        let Some(worst) = order.first() else { return };
        let node = self.graph().node(stretch.output());
        let Some(checkpoint) = node.checkpoint else { return };
        let (_, choice) = self.as_judged(stretch.output(), worst.position);
        self.findings.push(Finding {
            stretch: stretch.clone(),
            choice,
            faulty: order.iter().map(|j| j.position).collect(),
            clean: clean.iter().copied().collect(),
            worst: (worst.deviation.relative, worst.deviation.severity),
            before: order.iter().map(|j| (j.position, j.deviation)).collect(),
        });
        let mut positions: Vec<u32> = faulty.iter().map(|j| j.position).collect();
        positions.sort_unstable();
        self.faulty.push(FaultyNode {
            checkpoint,
            operation: node.op.name(),
            weight: node.weight.clone(),
            reach: stretch.reach,
            arithmetic: choice.title(),
            positions,
            judged,
            worst_at: worst.position,
            worst: worst.deviation,
            diagnoses: Vec::new(),
            pattern: String::new(),
        });
    }
}
