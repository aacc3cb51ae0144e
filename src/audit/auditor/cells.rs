//! Cells: evaluated under a choice of arithmetic and held to what that leaves.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Auditor, Judged};
use crate::audit::change::Change;
use crate::audit::choice::Choice;
use crate::audit::computed::Computed;
use crate::audit::floor::{Floor, PROBE, PROBE_COARSE, PROBE_MARGIN, WHOLE_ATTENTION, floor};
use crate::audit::judge::{Tolerance, judge};
use crate::audit::machine::Evaluation;
use crate::audit::probe::{Probe, recording};
use crate::audit::stretch::{Reach, Stretch};
use crate::audit::traced::Recorded;
use crate::audit::{AuditError, ties};
use crate::model::{NodeId, Op};
/// A floor of its own beyond which a rule has to be the engine's own, or the only one, to count.
pub const WIDE: f64 = 1e-4;

impl Auditor<'_> {
    /// The floor that a rule brings along.
    pub fn own_floor(&self, stretch: &Stretch, choice: Choice) -> Option<f64> {
        let node = self.graph().node(stretch.output());
        let products = match node.op {
            Op::MatMul => node.inputs.first().map_or(0, |&input| self.graph().node(input).width),
            _ => self.coverage.positions,
        };
        choice.rule()?.floor(products)
    }

    pub fn tolerance(&self, stretch: &Stretch, choice: Choice, recorded: &Recorded, extra: f64) -> Tolerance {
        let op = &self.graph().node(stretch.output()).op;
        let own = match stretch.reach {
            Reach::Whole => WHOLE_ATTENTION,
            _ => floor(op),
        };
        let wider = self.own_floor(stretch, choice);
        let inexact = recording(&recorded.values, recorded.relative, recorded.absolute);
        let is_exact = recorded.relative == 0.0 && recorded.absolute == 0.0;
        // A value rests on the sums of all operations inside, of which the last one's terms say nothing.
        let rounds = |id: &&NodeId| !matches!(self.graph().node(**id).op, Op::Slice { .. });
        let alone = stretch.nodes.iter().filter(rounds).count() <= 1;
        Tolerance {
            floor: Floor { row: wider.map_or(own.row, |w| w.max(own.row)), value: own.value },
            values: alone && extra == 0.0 && is_exact && wider.is_none(),
            extra: extra + if is_exact { 0.0 } else { inexact },
        }
    }

    /// Evaluates a stretch under `choice` and judges it at `positions`. With `bridges`, adds what
    /// probes show that bridging and coarse recording cost.
    pub fn judge(
        &self,
        stretch: &Stretch,
        choice: Choice,
        positions: &[u32],
        how: Evaluation<'_>,
        bridges: Option<&BTreeMap<u32, f64>>,
    ) -> Result<Vec<Judged>, AuditError> {
        let mut out = Vec::new();
        for (columns, positions) in self.by_columns(positions) {
            let rules = |id: NodeId| self.habits.rule(&self.machine, stretch, choice, columns, id);
            let computed = self.machine.evaluate(stretch, &rules, &positions, how)?;
            let judged: Result<Vec<Option<Judged>>, AuditError> = computed
                .into_par_iter()
                .map(|(position, computed)| {
                    let extra = bridges.and_then(|b| b.get(&position)).copied().unwrap_or(0.0);
                    self.judge_row(stretch, choice, position, computed, how, extra)
                })
                .collect();
            out.extend(judged?.into_iter().flatten());
        }
        Ok(out)
    }

    /// Holds one computed row to what was recorded; `None` where nothing was.
    fn judge_row(
        &self,
        stretch: &Stretch,
        choice: Choice,
        position: u32,
        mut computed: Computed,
        how: Evaluation<'_>,
        extra: f64,
    ) -> Result<Option<Judged>, AuditError> {
        let Some(recorded) = self.traced().read(stretch.output(), position)? else { return Ok(None) };
        let tolerance = self.tolerance(stretch, choice, &recorded, extra);
        let mut deviation = judge(&recorded.values, &computed, &tolerance);
        let mut fallen = 0;
        let admits = choice.rule().is_none_or(|rule| rule.admits(&recorded.values));
        if !deviation.is_explained() && !admits {
            deviation.severity = deviation.severity.max(f64::from(f32::MAX));
        } else if !deviation.is_explained() && how.change.is_none() && how.rows.is_none() {
            fallen = self.settle(stretch, choice, position, &recorded, &mut computed)?;
            if fallen > 0 {
                deviation = judge(&recorded.values, &computed, &tolerance);
            }
        }
        if deviation.is_explained() && !admits {
            deviation.severity = f64::INFINITY;
        }
        Ok(Some(Judged { position, deviation, ties: fallen }))
    }

    pub fn by_columns(&self, positions: &[u32]) -> BTreeMap<Option<u32>, Vec<u32>> {
        let mut groups: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        for &position in positions {
            groups.entry(self.traced().columns(position)).or_default().push(position);
        }
        groups
    }

    pub fn settle(
        &self,
        stretch: &Stretch,
        choice: Choice,
        position: u32,
        recorded: &Recorded,
        computed: &mut Computed,
    ) -> Result<usize, AuditError> {
        let (Some(rule), [id]) = (choice.rule(), &*stretch.nodes) else { return Ok(0) };
        let node = self.graph().node(*id);
        let (Op::MatMul, Some(&input)) = (&node.op, node.inputs.first()) else { return Ok(0) };
        let table = self.traced().table(input)?;
        let Some(row) = table.row(position) else { return Ok(0) };
        let row: Vec<f64> = row.iter().map(|&x| x.into()).collect();
        let bound = self.machine.bound(*id)?;
        let Some(matrix) = bound.matrix() else { return Ok(0) };
        Ok(ties::settle(
            &recorded.values,
            computed,
            &rule.ties(&row),
            matrix,
            rule,
            rule.sums(&row).is_some(),
        ))
    }

    /// What bridging and coarse recording may cost the output's norm, by position.
    pub fn bridges(
        &self,
        stretch: &Stretch,
        choice: Choice,
        positions: &[u32],
        change: Option<&Change>,
    ) -> Result<Option<BTreeMap<u32, f64>>, AuditError> {
        let coarse = stretch.sources.iter().any(|&id| self.traced().table(id).is_ok_and(|t| !t.is_exact()));
        if !coarse && !matches!(stretch.reach, Reach::Bridged(_)) {
            return Ok(None);
        }
        // The worst of all positions, as a share of the norm: roundings that fall the other way are rare,
        // and a probe sees few of them at any one.
        let mut worst = 0.0_f64;
        let mut norms: BTreeMap<u32, f64> = BTreeMap::new();
        for (columns, positions) in self.by_columns(positions) {
            let rules = |id: NodeId| self.habits.rule(&self.machine, stretch, choice, columns, id);
            let at = |probe| {
                let how = Evaluation { change, probe, ..Evaluation::default() };
                self.machine.evaluate(stretch, &rules, &positions, how)
            };
            let coarse = stretch.nodes.iter().any(|&id| rules(id).is_coarse());
            let share = if coarse { PROBE_COARSE } else { PROBE };
            let plain = at(None)?;
            for seed in [1, 2] {
                for (position, moved) in at(Some(Probe { seed, share }))? {
                    let Some(plain) = plain.get(&position) else { continue };
                    let square: f64 =
                        plain.values.iter().zip(&moved.values).map(|(a, b)| (a - b) * (a - b)).sum();
                    let norm = plain.values.iter().map(|x| x * x).sum::<f64>().sqrt();
                    norms.insert(position, norm);
                    if norm > 0.0 {
                        worst = worst.max(square.sqrt() / norm);
                    }
                }
            }
        }
        let cost = norms.into_iter().map(|(p, norm)| (p, PROBE_MARGIN * worst * norm)).collect();
        Ok(Some(cost))
    }
}
