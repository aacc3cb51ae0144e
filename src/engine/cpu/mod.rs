//! The CPU backend: executes a graph token by token, in f32 (the engine) or in f64 (the oracle,
//! which stands for exact arithmetic).

mod departed;
pub(crate) mod dot;
pub(crate) mod kernel;
pub(crate) mod ops;
mod real;
pub(crate) mod weights;

use std::collections::HashMap;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use self::kernel::{Bound, Moment};
pub use self::ops::rope_frequencies;
use self::real::Real;
use super::{Engine, EngineError, Tap, request};
use crate::gguf::Gguf;
use crate::model::{CaptureSet, Checkpoint, Graph, NodeId};
use crate::trace::{Header, Settings, Tensor};

/// How the CPU backend computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads; 0 means one per core.
    pub threads: usize,
    /// Keys and values are rounded to f16 when they are stored, as llama.cpp does by default.
    pub kv_f16: bool,
}

/// Keys or values of earlier positions: the output of one node, position slowest.
struct History<T> {
    rows: Vec<T>,
    width: usize,
    /// See [`crate::model::graph::Attention::cache_shift`].
    shift: i32,
    /// See [`crate::model::Departure::from`].
    from: usize,
    /// See [`crate::model::Departure::unwritten`].
    unwritten: Option<usize>,
}

impl<T: Real> History<T> {
    fn store(&mut self, position: usize, row: &[T], kv_f16: bool) {
        let shift = if position >= self.from { self.shift as isize } else { 0 };
        let slot = position.saturating_add_signed(shift);
        self.rows.resize(((position + 1).max(slot + 1)) * self.width, T::default());
        if self.unwritten == Some(position) {
            return;
        }
        let row = if kv_f16 { weights::round_to_f16(row) } else { row.into() };
        self.rows[slot * self.width..][..self.width].copy_from_slice(&row);
    }
}

/// An engine on the CPU in precision `T`.
pub struct CpuEngine<T> {
    header: Header,
    graph: Graph,
    bound: Vec<Bound>,
    rows: Vec<Vec<T>>,
    history: Vec<Option<History<T>>>,
    captured: Vec<bool>,
    grafts: HashMap<NodeId, Vec<f32>>,
    logits: Vec<f32>,
    position: usize,
    kv_f16: bool,
    pool: Arc<ThreadPool>,
}

/// The engine: f32.
pub type F32Engine = CpuEngine<f32>;
/// The oracle: f64 throughout, values widened from the file and never rounded in between.
pub type Oracle = CpuEngine<f64>;

impl<T: Real> CpuEngine<T> {
    /// Binds `graph` (which may hold faults) to the weights of `gguf`.
    pub fn new(gguf: &Arc<Gguf>, graph: Graph, options: CpuOptions) -> Result<Self, EngineError> {
        let bound = graph.nodes.iter().map(|node| Bound::new(gguf, node)).collect::<Result<Vec<_>, _>>()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|i| format!("cpu-{i}"))
            .build()
            .map_err(|e| EngineError::Request(format!("cannot start {} threads: {e}", options.threads)))?;
        let mut history: Vec<Option<History<T>>> = graph.nodes.iter().map(|_| None).collect();
        for node in &graph.nodes {
            if let (Some(input), Some(attention)) = (node.op.history_input(), node.op.attention()) {
                let id = node.inputs[input];
                history[id.index()] = Some(History {
                    rows: Vec::new(),
                    width: graph.node(id).width,
                    shift: attention.cache_shift,
                    from: node.departure.from,
                    unwritten: node.departure.unwritten,
                });
            }
        }
        for node in graph.nodes.iter().filter(|n| n.departure.lag > 0) {
            if let Some(&id) = node.inputs.first() {
                let width = graph.node(id).width;
                let plain = History { rows: Vec::new(), width, shift: 0, from: 0, unwritten: None };
                history[id.index()].get_or_insert(plain);
            }
        }
        let header = Header {
            paritty: 1,
            team: "paritty".into(),
            backend: T::BACKEND.into(),
            model: super::describe::describe(gguf, &graph),
            settings: Settings {
                build: Some(env!("CARGO_PKG_VERSION").into()),
                threads: Some(pool.current_num_threads() as u32),
                flash_attn: Some(false),
                kv: Some(if options.kv_f16 { "f16".into() } else { T::ARITHMETIC.into() }),
                arithmetic: Some(T::ARITHMETIC.into()),
                ..Settings::default()
            },
            ..Header::default()
        };
        Ok(Self {
            header,
            bound,
            rows: graph.nodes.iter().map(|_| Vec::new()).collect(),
            history,
            captured: vec![false; graph.nodes.len()],
            grafts: HashMap::new(),
            logits: vec![0.0; graph.n_vocab],
            position: 0,
            kv_f16: options.kv_f16,
            pool: Arc::new(pool),
            graph,
        })
    }

    fn compute(&mut self, token: u32, tap: &mut dyn Tap) -> Result<(), EngineError> {
        let moment = Moment { position: self.position, token };
        for index in 0..self.graph.nodes.len() {
            let node = &self.graph.nodes[index];
            // The output is taken out so that the inputs can be borrowed beside it.
            let mut out = std::mem::take(&mut self.rows[index]);
            let inputs: Vec<&[T]> = node
                .inputs
                .iter()
                .enumerate()
                .map(|(i, id)| match &self.history[id.index()] {
                    Some(history) if node.op.history_input() == Some(i) => {
                        &history.rows[..(moment.position + 1) * history.width]
                    }
                    Some(history) if i == 0 && node.departure.lags_at(moment.position) => {
                        let position = moment.position.saturating_sub(node.departure.lag);
                        &history.rows[position * history.width..][..history.width]
                    }
                    _ => self.rows[id.index()].as_slice(),
                })
                .collect();
            self.bound[index].run(node, moment, &inputs, &mut out);
            if let Some(values) = self.grafts.remove(&NodeId(index as u32)) {
                if let Err(error) = request::graft(node, moment.position, &values) {
                    self.rows[index] = out;
                    return Err(error);
                }
                out.iter_mut().zip(&values).for_each(|(out, v)| *out = T::from_f32(*v));
            }
            if let Some(history) = &mut self.history[index] {
                history.store(moment.position, &out, self.kv_f16);
            }
            if let (true, Some(checkpoint)) = (self.captured[index], node.checkpoint) {
                let shape = request::output_shape(node, moment.position);
                tap.tensor(checkpoint, node.op.name(), &shape, &T::to_f32s(&out))?;
            }
            self.rows[index] = out;
        }
        Ok(())
    }
}

impl<T: Real> Engine for CpuEngine<T> {
    fn header(&self) -> Header {
        self.header.clone()
    }

    fn set_fault(&mut self, fault: Option<String>) {
        self.header.settings.fault = fault;
    }

    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn position(&self) -> usize {
        self.position
    }

    fn set_capture(&mut self, set: CaptureSet) {
        for (captured, node) in self.captured.iter_mut().zip(&self.graph.nodes) {
            *captured = node.checkpoint.is_some_and(|c| set.contains(c));
        }
    }

    fn step(&mut self, token: u32, tap: &mut dyn Tap) -> Result<&[f32], EngineError> {
        request::token(&self.graph, token)?;
        request::position(&self.graph, self.position)?;
        tap.position(self.position);
        let pool = Arc::clone(&self.pool);
        let result = pool.install(|| self.compute(token, tap));
        self.grafts.clear();
        if let Err(error) = result {
            self.truncate(self.position);
            return Err(error);
        }
        self.position += 1;
        if let Some(row) = self.rows.last() {
            self.logits.clear();
            self.logits.extend_from_slice(&T::to_f32s(row));
        }
        Ok(&self.logits)
    }

    fn rewind(&mut self, position: usize) -> Result<(), EngineError> {
        request::rewind(position, self.position)?;
        self.truncate(position);
        self.position = position;
        Ok(())
    }

    fn graft(&mut self, checkpoint: Checkpoint, values: Vec<f32>) -> Result<(), EngineError> {
        let id = request::node(&self.graph, checkpoint)?;
        self.grafts.insert(id, values);
        Ok(())
    }

    fn eval(
        &mut self,
        checkpoint: Checkpoint,
        position: usize,
        token: u32,
        inputs: &[&[f32]],
    ) -> Result<Tensor, EngineError> {
        request::token(&self.graph, token)?;
        request::inputs(&self.graph, checkpoint, position, inputs)?;
        let id = request::node(&self.graph, checkpoint)?;
        let node = self.graph.node(id);
        let wide: Vec<Vec<T>> = inputs.iter().map(|v| v.iter().map(|&x| T::from_f32(x)).collect()).collect();
        let rows: Vec<&[T]> = wide.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        self.bound[id.index()].run(node, Moment { position, token }, &rows, &mut out);
        let shape = request::output_shape(node, position);
        Ok(Tensor { shape, values: T::to_f32s(&out).into_owned(), exact: true })
    }
}

impl<T: Real> CpuEngine<T> {
    fn truncate(&mut self, position: usize) {
        for history in self.history.iter_mut().flatten() {
            history.rows.truncate(position * history.width);
        }
    }
}
