//! The values of one run, by node and position, as they were recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::AuditError;
use super::arithmetic::cache_blocks::{TURN, hadamard};
use crate::engine::cpu::kernel::Bound;
use crate::gguf::Gguf;
use crate::model::{Checkpoint, Graph, NodeId, Op};
use crate::trace::{Dtype, Store, Tensor, TraceError};

/// Rows of one node, by position.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// One row a position.
    pub rows: BTreeMap<u32, Arc<[f32]>>,
    /// How far a recorded value may be from what the engine had, as a share of it.
    pub relative: f32,
    /// And absolutely.
    pub absolute: f32,
}

impl Table {
    /// The row at `position`.
    pub fn row(&self, position: u32) -> Option<&[f32]> {
        self.rows.get(&position).map(|row| &**row)
    }

    /// Whether the recorder kept every bit.
    pub fn is_exact(&self) -> bool {
        self.relative == 0.0 && self.absolute == 0.0
    }
}

/// One row as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The values that are there: for scores and probabilities those of visible positions.
    pub values: Vec<f32>,
    /// How many there should be.
    pub full: usize,
    /// As in [`Table`].
    pub relative: f32,
    /// As in [`Table`].
    pub absolute: f32,
}

impl Recorded {
    /// Whether it is `row`, up to what recording may have cost.
    fn is(&self, row: &[f32]) -> bool {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= b.abs() * self.relative + self.absolute;
        self.values.len() == row.len() && self.values.iter().zip(row).all(near)
    }
}

/// One run, read through the eyes of a graph.
pub struct Traced<'a> {
    store: &'a Store,
    graph: &'a Graph,
    /// By node: positions at which it was recorded in full.
    full: Vec<BTreeSet<u32>>,
    /// By node: positions at which a part of it was recorded.
    part: Vec<BTreeSet<u32>>,
    tables: Mutex<HashMap<NodeId, Arc<Table>>>,
    /// Records that are in no node of the graph.
    foreign: BTreeMap<Checkpoint, usize>,
    /// Records whose number of values cannot be the node's.
    misshapen: BTreeMap<Checkpoint, usize>,
    /// Logits a position, if more than the model has.
    padded: Option<usize>,
    /// Tokens that the trace does not name.
    inferred: BTreeMap<u32, u32>,
    /// Whether what attention made was recorded before it was turned back.
    turned: bool,
}

impl<'a> Traced<'a> {
    /// Looks through the index of `store`; reads no values.
    pub fn new(store: &'a Store, graph: &'a Graph) -> Self {
        let nodes: HashMap<Checkpoint, usize> =
            graph.nodes.iter().enumerate().filter_map(|(i, n)| Some((n.checkpoint?, i))).collect();
        let mut traced = Self {
            store,
            graph,
            full: vec![BTreeSet::new(); graph.nodes.len()],
            part: vec![BTreeSet::new(); graph.nodes.len()],
            tables: Mutex::default(),
            foreign: BTreeMap::new(),
            misshapen: BTreeMap::new(),
            padded: None,
            inferred: BTreeMap::new(),
            turned: false,
        };
        for position in store.positions() {
            for checkpoint in store.checkpoints(position) {
                let Some(&index) = nodes.get(&checkpoint) else {
                    *traced.foreign.entry(checkpoint).or_default() += 1;
                    continue;
                };
                let Some(cell) = store.cell(position, checkpoint) else { continue };
                let node = &graph.nodes[index];
                let (expected, axes) = (node.width, cell.shape.iter().map(|&n| n as usize));
                let fits = if node.op.grows() {
                    let columns = axes.clone().next().unwrap_or(0);
                    columns > position as usize && axes.product::<usize>() == columns * expected
                } else {
                    // A vocabulary may be padded.
                    let found: usize = axes.product();
                    let padded = checkpoint == Checkpoint::LOGITS && found > expected;
                    if padded {
                        traced.padded = traced.padded.max(Some(found));
                    }
                    found == expected || padded
                };
                if !fits || cell.len == 0 {
                    *traced.misshapen.entry(checkpoint).or_default() += 1;
                } else if cell.is_partial() {
                    traced.part[index].insert(position);
                } else {
                    traced.full[index].insert(position);
                }
            }
        }
        traced
    }

    /// The trace.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Positions at which a node's values are there in full.
    pub fn full(&self, id: NodeId) -> &BTreeSet<u32> {
        &self.full[id.index()]
    }

    /// Positions at which at least some of a node's values are there.
    pub fn any(&self, id: NodeId) -> BTreeSet<u32> {
        self.full[id.index()].union(&self.part[id.index()]).copied().collect()
    }

    /// Records of checkpoints that the model has not.
    pub fn foreign(&self) -> &BTreeMap<Checkpoint, usize> {
        &self.foreign
    }

    /// Records whose shape is not the node's.
    pub fn misshapen(&self) -> &BTreeMap<Checkpoint, usize> {
        &self.misshapen
    }

    /// The record of a node at one position; `None` if there is none that can be used.
    pub fn read(&self, id: NodeId, position: u32) -> Result<Option<Recorded>, TraceError> {
        let node = self.graph.node(id);
        let Some(checkpoint) = node.checkpoint else { return Ok(None) };
        let mut tensor = Tensor::default();
        if !self.store.read(position, checkpoint, &mut tensor)? {
            return Ok(None);
        }
        let dtype = self.store.cell(position, checkpoint).map_or(Dtype::F32, |cell| cell.dtype);
        let relative = match dtype {
            Dtype::F16 => half::f16::EPSILON.to_f32() / 2.0,
            Dtype::Bf16 => half::bf16::EPSILON.to_f32() / 2.0,
            Dtype::F32 => 0.0,
        };
        // Text with six decimals.
        let absolute = if tensor.exact { 0.0 } else { 5e-7 };
        let visible = position as usize + 1;
        let full = if node.op.grows() { node.width * visible } else { node.width };
        let mut values = tensor.values;
        if node.op.grows() {
            let columns = tensor.shape.first().map_or(0, |&n| n as usize);
            if columns > visible {
                let wide = std::mem::take(&mut values);
                for row in wide.chunks(columns) {
                    values.extend_from_slice(&row[..visible.min(row.len())]);
                }
            }
        }
        values.truncate(full);
        if self.turned && matches!(node.op, Op::Mix(_)) && values.len() == full {
            let mut row: Vec<f64> = values.iter().map(|&x| x.into()).collect();
            hadamard(&mut row, TURN);
            values = row.into_iter().map(|x| x as f32).collect();
        }
        Ok(Some(Recorded { values, full, relative, absolute }))
    }

    /// Turns what attention made back when it is read.
    pub fn turn_back(&mut self) {
        self.turned = true;
    }

    /// All full rows of a node. Kept until [`Traced::forget`].
    pub fn table(&self, id: NodeId) -> Result<Arc<Table>, TraceError> {
        if let Some(table) = self.tables.lock().ok().and_then(|tables| tables.get(&id).cloned()) {
            return Ok(table);
        }
        let mut table = Table::default();
        for &position in self.full(id) {
            if let Some(recorded) = self.read(id, position)? {
                table.relative = table.relative.max(recorded.relative);
                table.absolute = table.absolute.max(recorded.absolute);
                table.rows.insert(position, recorded.values.into());
            }
        }
        let table = Arc::new(table);
        if let Ok(mut tables) = self.tables.lock() {
            tables.insert(id, Arc::clone(&table));
        }
        Ok(table)
    }

    /// Lets go of tables of nodes before `id` that are further back than `keep` says.
    pub fn forget(&self, keep: impl Fn(NodeId) -> bool) {
        if let Ok(mut tables) = self.tables.lock() {
            tables.retain(|id, _| keep(*id));
        }
    }

    /// The token at `position`.
    pub fn token(&self, position: u32) -> Option<u32> {
        self.store.token(position).map(|t| t.id).or_else(|| self.inferred.get(&position).copied())
    }

    /// Logits a position, if the trace has more than the model.
    pub fn padded(&self) -> Option<usize> {
        self.padded
    }

    /// Positions whose token was inferred.
    pub fn inferred(&self) -> usize {
        self.inferred.len()
    }

    /// Where the trace names no token but has its embedding: takes the first token whose row in the
    /// matrix is what was recorded.
    pub fn infer_tokens(&mut self, gguf: &Arc<Gguf>) -> Result<(), AuditError> {
        let Some(index) = self.graph.nodes.iter().position(|n| matches!(n.op, Op::Embed)) else {
            return Ok(());
        };
        let unknown = |p: &u32| self.store.token(*p).is_none();
        let mut open: BTreeMap<u32, Recorded> = BTreeMap::new();
        for position in self.full[index].iter().copied().filter(unknown) {
            if let Some(recorded) = self.read(NodeId(index as u32), position)? {
                open.insert(position, recorded);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let bound = Bound::new(gguf, &self.graph.nodes[index])?;
        let Some(matrix) = bound.matrix() else { return Ok(()) };
        let rows = matrix.info().rows().min(self.graph.n_vocab);
        let found: Vec<Vec<(u32, u32)>> = (0..rows)
            .into_par_iter()
            .map_init(
                || vec![0.0_f32; matrix.info().row_len()],
                |row, token| {
                    matrix.row(token, row);
                    let is = |(_, recorded): &(&u32, &Recorded)| recorded.is(row);
                    open.iter().filter(is).map(|(&position, _)| (position, token as u32)).collect()
                },
            )
            .collect();
        for (position, token) in found.into_iter().flatten() {
            self.inferred.entry(position).or_insert(token);
        }
        Ok(())
    }

    /// Tokens in the batch that computed `position`.
    pub fn columns(&self, position: u32) -> Option<u32> {
        self.store.token(position).and_then(|t| t.columns)
    }
}
