//! Recomputes stretches of a graph from recorded values, under given arithmetic.
//!
//! Values that were not recorded, or not to the last bit, are only known up to a little. A *probe*
//! evaluates the same stretch with such values moved by that little, at random; how far the result
//! moves is what bridging costs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::AuditError;
use super::arithmetic::{Circumstance, Rule};
use super::change::{Change, Slots};
use super::computed::{Computed, scales};
use super::history::{History, in_slot, widen};
use super::probe::{Probe, Random};
use super::product::{Operand, Weights, product};
use super::stretch::{Reach, Stretch};
use super::traced::{Table, Traced};
use super::unchanged::{Inside, Unchanged};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::gguf::{Gguf, WeightType};
use crate::model::departure::Precision;
use crate::model::{Graph, Node, NodeId, Op};

/// How to evaluate.
#[derive(Clone, Copy, Default)]
pub struct Evaluation<'a> {
    /// A change to one node.
    pub change: Option<&'a Change>,
    /// Moves what is not known exactly.
    pub probe: Option<Probe>,
    /// Values of the output that are wanted; only products make use of it.
    pub rows: Option<usize>,
    /// What the same stretch holds without the change, kept from one change to the next. Only for
    /// evaluations of one stretch in one arithmetic.
    pub unchanged: Option<&'a Unchanged>,
}

/// Which arithmetic a node is evaluated in at a position with so many columns.
pub type Rules<'a> = dyn Fn(NodeId) -> &'static (dyn Rule) + 'a;

/// Evaluates nodes of one model over one run.
pub struct Machine<'a> {
    gguf: &'a Arc<Gguf>,
    graph: &'a Graph,
    traced: &'a Traced<'a>,
    bound: Vec<OnceLock<Arc<Bound>>>,
}

impl<'a> Machine<'a> {
    /// A machine; binds weights when they are first needed.
    pub fn new(gguf: &'a Arc<Gguf>, graph: &'a Graph, traced: &'a Traced<'a>) -> Self {
        Self { gguf, graph, traced, bound: graph.nodes.iter().map(|_| OnceLock::new()).collect() }
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The run.
    pub fn traced(&self) -> &'a Traced<'a> {
        self.traced
    }

    /// The model file.
    pub fn gguf(&self) -> &'a Arc<Gguf> {
        self.gguf
    }

    /// The node's weights.
    pub fn bound(&self, id: NodeId) -> Result<Arc<Bound>, AuditError> {
        let slot = &self.bound[id.index()];
        if let Some(bound) = slot.get() {
            return Ok(Arc::clone(bound));
        }
        let bound = Arc::new(Bound::new(self.gguf, self.graph.node(id))?);
        Ok(Arc::clone(slot.get_or_init(|| bound)))
    }

    /// Weight type of the node's matrix.
    pub fn weight_type(&self, id: NodeId) -> Option<WeightType> {
        let node = self.graph.node(id);
        matches!(node.op, Op::MatMul | Op::Embed | Op::PosEmbed)
            .then(|| Some(self.gguf.tensor(node.weight.as_deref()?)?.weight_type))
            .flatten()
    }

    /// The output of a stretch at those of `positions` where all that it reads is there.
    pub fn evaluate(
        &self,
        stretch: &Stretch,
        rules: &Rules<'_>,
        positions: &[u32],
        how: Evaluation<'_>,
    ) -> Result<BTreeMap<u32, Computed>, AuditError> {
        let kept = match how {
            Evaluation { change: Some(change), probe: None, unchanged: Some(unchanged), .. } => {
                let plain = Evaluation::default();
                let make = || Ok(self.walk(stretch, rules, positions, plain, &Inside::new())?.1);
                unchanged.beside(change, self.graph, stretch, positions, make)?
            }
            _ => Inside::new(),
        };
        Ok(self.walk(stretch, rules, positions, how, &kept)?.0)
    }

    /// The output of a stretch and what is inside it, of which `kept` is there already.
    fn walk(
        &self,
        stretch: &Stretch,
        rules: &Rules<'_>,
        positions: &[u32],
        how: Evaluation<'_>,
        kept: &Inside,
    ) -> Result<(BTreeMap<u32, Computed>, Inside), AuditError> {
        let node_at = |id: NodeId| match how.change.and_then(|change| change.on(id)) {
            Some(change) => &change.node,
            None => self.graph.node(id),
        };
        let output = stretch.output();
        let needed = Self::needed(stretch, positions, &node_at, how.change);
        let mut made = Inside::new();
        let fused = self.fused_scores(stretch);
        for &id in &stretch.nodes {
            if let Some(table) = kept.get(&id) {
                made.insert(id, Arc::clone(table));
                continue;
            }
            let node = node_at(id);
            let change = how.change.and_then(|c| c.on(id));
            let wanted: Vec<u32> = needed.get(&id).into_iter().flatten().copied().collect();
            let rule = rules(id);
            // What is done to a result may need all of it.
            let whole = change.is_some_and(|c| c.post.is_some());
            let rows = if id == output && !whole { how.rows } else { None };
            let mut tables = Vec::with_capacity(node.inputs.len());
            let source = |input: NodeId| -> Result<Arc<Table>, AuditError> {
                Ok(match made.get(&input) {
                    Some(table) => Arc::clone(table),
                    None => self.recorded(input, how.probe)?,
                })
            };
            for &input in &node.inputs {
                tables.push(source(input)?);
            }
            let whole = match (&node.op, change) {
                (Op::Mix(_), None) => fused.get(&id).copied(),
                _ => None,
            };
            let mut result = None;
            // A change to scores or probabilities inside is made step by step.
            let inner =
                how.change.is_some_and(|c| stretch.nodes.iter().any(|n| *n != id && c.on(*n).is_some()));
            if let Some(scores) = whole.filter(|_| !inner) {
                let inputs = &self.graph.node(scores).inputs;
                let (query, keys) = (source(inputs[0])?, source(inputs[1])?);
                result = self.fused(node, rule, [&query, &keys, &tables[1]], &wanted);
            }
            let mut result = match result {
                Some(result) => result,
                None => self.node(id, node, change, rule, &tables, &wanted, rows)?,
            };
            if let Some(post) = change.and_then(|c| c.post.as_ref()) {
                for (position, computed) in &mut result {
                    let before = computed.values.clone();
                    post(*position, &mut computed.values);
                    // Larger values round by more; what was left alone does not.
                    let grown = (norm(&computed.values) / norm(&before)).max(1.0);
                    let grown = if grown.is_finite() { grown } else { 1.0 };
                    for ((scale, x), before) in computed.scale.iter_mut().zip(&computed.values).zip(&before) {
                        *scale = if x == before { *scale } else { (*scale * grown).max(x.abs()) };
                    }
                }
            }
            if id == output {
                return Ok((result, made));
            }
            made.insert(id, Arc::new(Self::as_table(id, node, result, how.probe)));
        }
        Ok((BTreeMap::new(), made))
    }

    /// Attention's last node with the scores that it rests on, where neither scores nor probabilities
    /// were recorded.
    fn fused_scores(&self, stretch: &Stretch) -> HashMap<NodeId, NodeId> {
        let mut found = HashMap::new();
        if stretch.reach == Reach::Direct {
            return found;
        }
        for &id in &stretch.nodes {
            let node = self.graph.node(id);
            let before = |id: NodeId| self.graph.node(id).inputs.first().copied();
            if let (Op::Mix(_), Some(probabilities)) = (&node.op, node.inputs.first().copied())
                && let Some(scores) = before(probabilities)
                && stretch.nodes.contains(&probabilities)
                && stretch.nodes.contains(&scores)
            {
                found.insert(id, scores);
            }
        }
        found
    }

    /// Positions at which each node of the stretch has to be evaluated.
    fn needed<'n>(
        stretch: &Stretch,
        positions: &[u32],
        node_at: &dyn Fn(NodeId) -> &'n Node,
        change: Option<&Change>,
    ) -> HashMap<NodeId, BTreeSet<u32>> {
        let mut needed: HashMap<NodeId, BTreeSet<u32>> = HashMap::new();
        needed.insert(stretch.output(), positions.iter().copied().collect());
        for &id in stretch.nodes.iter().rev() {
            let Some(own) = needed.get(&id).cloned() else { continue };
            let node = node_at(id);
            let redirected =
                node.departure.lag > 0 || change.and_then(|c| c.on(id)).is_some_and(|c| c.redirect.is_some());
            for (i, input) in node.inputs.iter().enumerate() {
                let more = needed.entry(*input).or_default();
                if node.op.history_input() == Some(i) || redirected {
                    more.extend(0..=own.last().copied().unwrap_or(0));
                } else {
                    more.extend(own.iter().copied());
                }
            }
        }
        needed
    }

    fn recorded(&self, id: NodeId, probe: Option<Probe>) -> Result<Arc<Table>, AuditError> {
        let table = self.traced.table(id)?;
        let Some(Probe { seed, .. }) = probe.filter(|_| !table.is_exact()) else { return Ok(table) };
        let (relative, absolute) = (table.relative, table.absolute);
        let mut moved = Table { rows: BTreeMap::new(), relative, absolute };
        for (&position, row) in &table.rows {
            let mut random = Random::new(seed, id, position);
            let row: Vec<f32> =
                row.iter().map(|&x| x + (x.abs() * relative + absolute) * random.even() as f32).collect();
            moved.rows.insert(position, row.into());
        }
        Ok(Arc::new(moved))
    }

    /// What an engine would hand on: f32, moved where a probe asks for it.
    fn as_table(id: NodeId, node: &Node, result: BTreeMap<u32, Computed>, probe: Option<Probe>) -> Table {
        let rows = result.into_iter().map(|(position, computed)| {
            let mut row = computed.values;
            if let Some(Probe { seed, share }) = probe {
                let norm = (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64).sqrt();
                let mut random = Random::new(seed, id, position);
                let free = matches!(node.op, Op::Slice { .. } | Op::Embed | Op::PosEmbed);
                let share = if free { 0.0 } else { share };
                for x in &mut row {
                    *x += share * norm * random.even();
                }
            }
            (position, row.iter().map(|&x| x as f32).collect())
        });
        Table { rows: rows.collect(), relative: 0.0, absolute: 0.0 }
    }

    fn fused(
        &self,
        node: &Node,
        rule: &dyn Rule,
        [query, keys, values]: [&Arc<Table>; 3],
        positions: &[u32],
    ) -> Option<BTreeMap<u32, Computed>> {
        let a = node.op.attention()?;
        let (keys, values) = (History::of(keys, |_| {}), History::of(values, |_| {}));
        let header = self.traced.store().header();
        let at = |p| Circumstance { weights: None, columns: self.traced.columns(p), header, fused: true };
        let results: Vec<Option<(u32, Computed)>> = positions
            .par_iter()
            .map(|&p| {
                let q = widen(query.row(p)?);
                let (k, v) = (keys.upto(p)?, values.upto(p)?);
                let mut out = vec![0.0; node.width];
                rule.fused(a, &at(p), &q, k, v, &mut out).then(|| {
                    let scale = out.iter().map(|x| x.abs()).collect();
                    (p, Computed { values: out, scale, ambiguity: Vec::new() })
                })
            })
            .collect();
        // A rule without an order of its own says so at every position.
        let any = results.iter().any(Option::is_some);
        any.then(|| results.into_iter().flatten().collect())
    }

    #[allow(clippy::too_many_arguments)]
    fn node(
        &self,
        id: NodeId,
        node: &Node,
        change: Option<&Change>,
        rule: &dyn Rule,
        tables: &[Arc<Table>],
        positions: &[u32],
        rows: Option<usize>,
    ) -> Result<BTreeMap<u32, Computed>, AuditError> {
        let own = self.graph.node(id);
        let rebound = change.is_some_and(|c| {
            (&c.node.weight, &c.node.bias) != (&own.weight, &own.bias)
                || c.node.op != own.op
                || c.node.departure != own.departure
        });
        let bound = if rebound { Arc::new(Bound::new(self.gguf, node)?) } else { self.bound(id)? };
        let execute = change.and_then(|c| c.execute.clone());
        let d = &node.departure;
        let here = |input: usize, p: u32| -> Option<Vec<f64>> {
            if input == 0 && d.lags_at(p as usize) {
                return Some(widen(tables[0].row(p.saturating_sub(d.lag as u32))?));
            }
            let at = match change.and_then(|c| c.redirect.as_ref()) {
                Some(redirect) => match redirect(p) {
                    Some(at) => at,
                    None => return Some(vec![0.0; tables[input].row(p)?.len()]),
                },
                None => p,
            };
            Some(widen(tables[input].row(at)?))
        };
        // What a product over all positions at once cannot do is executed position by position.
        let plain = d.precision == Precision::Full && !d.repeated && (d.from == 0 || d.views.is_empty());
        if matches!(node.op, Op::MatMul) && execute.is_none() && plain {
            let mut columns = Vec::new();
            let mut at = Vec::new();
            for &p in positions {
                let Some(row) = here(0, p) else { continue };
                let sums = rule.sums(&row);
                let mut rounded = row;
                rule.operand(node, 0, &mut rounded);
                columns.push(Operand::new(rounded, sums));
                at.push(p);
            }
            let matrix: &dyn Weights = match change.and_then(|c| c.weights.as_deref()) {
                Some(weights) => weights,
                None => match bound.departed().matrix() {
                    Some(matrix) => matrix,
                    None => return Ok(BTreeMap::new()),
                },
            };
            if columns.iter().any(|c| c.values.len() != matrix.row_len()) {
                return Ok(BTreeMap::new());
            }
            let made = product(matrix, rule, &columns, bound.bias(), rows.unwrap_or(usize::MAX));
            return Ok(at
                .into_iter()
                .zip(made)
                .map(|(p, mut computed)| {
                    rule.result(node, &mut computed.values);
                    (p, computed)
                })
                .collect());
        }
        let cache = node.op.history_input().map(|input| {
            let round = |row: &mut Vec<f64>| rule.operand(node, input, row);
            (input, History::of(&tables[input], round))
        });
        let shift = node.op.attention().map_or(0, |a| a.cache_shift);
        let slots = change.and_then(|c| c.slots.clone()).or_else(|| {
            let (from, unwritten) = (d.from, d.unwritten);
            let slots = move |p, slot| in_slot(shift, from, unwritten, p, slot);
            (shift != 0 || unwritten.is_some()).then(|| -> Slots { Arc::new(slots) })
        });
        let result: Vec<Option<(u32, Computed)>> = positions
            .par_iter()
            .map(|&p| {
                let mut inputs = Vec::with_capacity(node.inputs.len());
                for input in 0..node.inputs.len() {
                    match &cache {
                        Some((i, history)) if *i == input => match &slots {
                            Some(slots) => inputs.push(history.arranged(p, slots)?),
                            None => inputs.push(history.upto(p)?.to_vec()),
                        },
                        _ => {
                            let mut row = here(input, p)?;
                            rule.operand(node, input, &mut row);
                            inputs.push(row);
                        }
                    }
                }
                let token = match node.op {
                    Op::Embed => self.traced.token(p).filter(|&t| (t as usize) < self.graph.n_vocab)?,
                    _ => 0,
                };
                let lookup_ends = matches!(node.op, Op::PosEmbed) && p as usize >= self.graph.n_ctx;
                if lookup_ends {
                    return None;
                }
                let moment = Moment { position: p as usize, token };
                let rows: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
                let mut values = Vec::new();
                if let Some(execute) = &execute {
                    execute(node, moment, &rows, &mut values);
                } else {
                    let visible = p as usize + 1;
                    values.resize(if node.op.grows() { node.width * visible } else { node.width }, 0.0);
                    let same = std::mem::discriminant(&node.op) == std::mem::discriminant(&own.op);
                    if !(same && rule.evaluate(node, &bound, moment, &rows, &mut values)) {
                        bound.run(node, moment, &rows, &mut values);
                    }
                }
                rule.result(node, &mut values);
                let scale = scales(node, &bound, moment, &rows, &values);
                Some((p, Computed { values, scale, ambiguity: rule.ambiguity(node, &rows) }))
            })
            .collect();
        Ok(result.into_iter().flatten().collect())
    }
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}
