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
use super::floor::EPSILON;
use super::product::{Operand, Weights, product};
use super::stretch::{Reach, Stretch};
use super::traced::{Table, Traced};
use crate::engine::cpu::kernel::{Bound, Moment};
use crate::gguf::{Gguf, WeightType};
use crate::model::departure::Precision;
use crate::model::{Graph, Node, NodeId, Op};

/// One row as it should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Computed {
    /// The values.
    pub values: Vec<f64>,
    /// For each: Σ|terms| that it is the sum of, which its rounding is a share of.
    pub scale: Vec<f64>,
    /// What each may be off by for a rounding that is ambiguous; empty: nothing.
    pub ambiguity: Vec<f64>,
}

/// Custom execution of a node: position, inputs (as the operation reads them), output.
pub type Execute = Arc<dyn Fn(&Node, Moment, &[&[f64]], &mut Vec<f64>) + Send + Sync>;
/// Position whose row is read in place of that of the first argument; `None`: zeros.
pub type Redirect = Arc<dyn Fn(u32) -> Option<u32> + Send + Sync>;
/// Row of the cache that slot (second argument) holds at a position (first); `None`: zeros.
pub type Slots = Arc<dyn Fn(u32, u32) -> Option<u32> + Send + Sync>;

/// Changes a result at a position.
pub type Post = Arc<dyn Fn(u32, &mut [f64]) + Send + Sync>;

/// A change to one node of a stretch: what a hypothesis says that the engine did.
#[derive(Clone)]
pub struct Change {
    /// Which node.
    pub target: NodeId,
    /// What it becomes. Its inputs may be other recorded nodes.
    pub node: Node,
    /// Another matrix.
    pub weights: Option<Arc<dyn Weights>>,
    /// Its operation is executed so.
    pub execute: Option<Execute>,
    /// Its inputs are read at another position.
    pub redirect: Option<Redirect>,
    /// Its cache is read so.
    pub slots: Option<Slots>,
    /// What becomes of its result.
    pub post: Option<Post>,
    /// Changes to other nodes of the same stretch: one mistake that is made in several places.
    pub also: Vec<Change>,
}

impl Change {
    /// The change to node `id`, if there is one.
    pub fn on(&self, id: NodeId) -> Option<&Self> {
        if self.target == id { Some(self) } else { self.also.iter().find(|c| c.target == id) }
    }

    /// A change of the node alone.
    pub fn to(target: NodeId, node: Node) -> Self {
        Self {
            target,
            node,
            weights: None,
            execute: None,
            redirect: None,
            slots: None,
            post: None,
            also: Vec::new(),
        }
    }
}

/// How a probe moves what was not recorded.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// What the random numbers depend on.
    pub seed: u64,
    /// Size of a move, as a share of a row's typical value.
    pub share: f64,
}

/// How to evaluate.
#[derive(Clone, Copy, Default)]
pub struct Evaluation<'a> {
    /// A change to one node.
    pub change: Option<&'a Change>,
    /// Moves what is not known exactly.
    pub probe: Option<Probe>,
    /// Values of the output that are wanted; only products make use of it.
    pub rows: Option<usize>,
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
        let node_at = |id: NodeId| match how.change.and_then(|change| change.on(id)) {
            Some(change) => &change.node,
            None => self.graph.node(id),
        };
        let output = stretch.output();
        let needed = Self::needed(stretch, positions, &node_at, how.change);
        let mut made: HashMap<NodeId, Arc<Table>> = HashMap::new();
        let fused = self.fused_scores(stretch);
        for &id in &stretch.nodes {
            let node = node_at(id);
            let change = how.change.and_then(|c| c.on(id));
            let wanted: Vec<u32> = needed.get(&id).into_iter().flatten().copied().collect();
            let rule = rules(id);
            let rows = if id == output { how.rows } else { None };
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
                    post(*position, &mut computed.values);
                }
            }
            if id == output {
                return Ok(result);
            }
            made.insert(id, Arc::new(Self::as_table(id, node, result, how.probe)));
        }
        Ok(BTreeMap::new())
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

/// Which row slot `slot` holds at position `p` when rows from `from` on are stored `shift` slots further
/// and one may never be stored: the last that was stored there; `None`: none ever was.
fn in_slot(shift: i32, from: usize, unwritten: Option<usize>, p: u32, slot: u32) -> Option<u32> {
    let place = |row: u32| if row as usize >= from { row.saturating_add_signed(shift) } else { row };
    (0..=p).rev().find(|&row| Some(row as usize) != unwritten && place(row) == slot)
}

fn widen(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&x| x.into()).collect()
}

/// Rows of every position from 0 as far as there are any without a gap, one after the other.
struct History {
    rows: Vec<f64>,
    width: usize,
}

impl History {
    fn of(table: &Table, round: impl Fn(&mut Vec<f64>)) -> Self {
        let mut history = Self { rows: Vec::new(), width: 0 };
        for (next, (&position, row)) in table.rows.iter().enumerate() {
            if position as usize != next {
                break;
            }
            let mut row = widen(row);
            round(&mut row);
            history.width = row.len();
            history.rows.extend(row);
        }
        history
    }

    fn upto(&self, position: u32) -> Option<&[f64]> {
        self.rows.get(..(position as usize + 1) * self.width).filter(|rows| !rows.is_empty())
    }

    fn arranged(&self, position: u32, slots: &Slots) -> Option<Vec<f64>> {
        let mut out = Vec::with_capacity((position as usize + 1) * self.width);
        for slot in 0..=position {
            match slots(position, slot) {
                Some(row) => {
                    out.extend_from_slice(self.rows.get(row as usize * self.width..)?.get(..self.width)?);
                }
                None => out.resize(out.len() + self.width, 0.0),
            }
        }
        Some(out)
    }
}

/// Σ|terms| of each value of an output: what its roundings are a share of.
fn scales(node: &Node, bound: &Bound, at: Moment, inputs: &[&[f64]], values: &[f64]) -> Vec<f64> {
    let magnitude = || values.iter().map(|x| x.abs()).collect::<Vec<f64>>();
    let absolute = |row: &[f64]| row.iter().map(|x| x.abs()).collect::<Vec<f64>>();
    let terms = match &node.op {
        Op::Add => inputs[0].iter().zip(inputs[1]).map(|(a, b)| a.abs() + b.abs()).collect(),
        Op::AddBias => {
            let bias = bound.vector().unwrap_or_default();
            inputs[0].iter().zip(bias).map(|(x, b)| x.abs() + f64::from(b.abs())).collect()
        }
        Op::LayerNorm { eps } => {
            let x = inputs[0];
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let inverse = 1.0 / (variance + f64::from(*eps)).sqrt();
            // The mean rounds as a sum of all values does, whatever is left of it.
            let mean = x.iter().map(|v| v.abs()).sum::<f64>() / n;
            x.iter()
                .enumerate()
                .map(|(i, v)| {
                    let w = bound.vector().map_or(1.0, |w| f64::from(w[i].abs()));
                    let b = bound.bias().map_or(0.0, |b| f64::from(b[i].abs()));
                    (v.abs() + mean) * inverse * w + b
                })
                .collect()
        }
        Op::Rope(rope) => {
            let mut out = absolute(inputs[0]);
            for (i, frequency) in bound.frequencies().iter().enumerate() {
                // A relative error of the frequency becomes one of the angle, which grows with the position.
                let angle = at.position as f64 * frequency * (4.0 + i as f64) / 4.0;
                let (first, second) = match rope.pairing {
                    crate::model::graph::Pairing::Norm => (2 * i, 2 * i + 1),
                    crate::model::graph::Pairing::Neox => (i, i + rope.n_rot / 2),
                };
                for head in 0..rope.heads {
                    let base = head * rope.head_dim;
                    let length = inputs[0][base + first].hypot(inputs[0][base + second]);
                    let scale = length * f64::from(rope.attn_factor.abs()) * (1.0 + angle);
                    (out[base + first], out[base + second]) = (scale, scale);
                }
            }
            out
        }
        Op::Scores(_) | Op::Mix(_) => {
            let (a, b) = (absolute(inputs[0]), absolute(inputs[1]));
            let mut out = Vec::new();
            bound.run(node, at, &[&a, &b], &mut out);
            out
        }
        Op::SoftMax(a) => {
            let visible = at.position + 1;
            let heads = inputs[0].chunks(visible).zip(values.chunks(visible));
            heads
                .flat_map(|(scores, values)| {
                    let largest = scores.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
                    let reach = 1.0 + largest * f64::from(a.scale.abs()) / 4.0;
                    values.iter().map(move |p| p.abs() * reach).collect::<Vec<f64>>()
                })
                .collect()
        }
        _ => magnitude(),
    };
    // A changed node may have fewer terms than values.
    values.iter().enumerate().map(|(i, v)| terms.get(i).map_or(v.abs(), |t| t.max(v.abs()))).collect()
}

/// A stream of numbers that depends on nothing but its seed: SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64, id: NodeId, position: u32) -> Self {
        Self(seed ^ (u64::from(id.0) << 32 | u64::from(position)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Uniform in (−√3, √3): its square is 1 on average.
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        (unit * 2.0 - 1.0) * 3.0_f64.sqrt()
    }
}

/// The largest f32 rounding that recording a row costs its norm.
pub fn recording(values: &[f32], relative: f32, absolute: f32) -> f64 {
    let norm = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    norm * (f64::from(relative) + EPSILON) + f64::from(absolute) * (values.len() as f64).sqrt()
}
